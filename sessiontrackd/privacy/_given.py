"""Passwords and keys given without a name: to a command, in a call, in a configuration line, in a sentence.

Each rule is an anchor that is looked for in lower case and a bounded pattern that must match there; `value` is what is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from functools import cache

from sessiontrackd.patterns import lazy_regex
from sessiontrackd.privacy._values import (
    has_mark,
    is_no_value,
    looks_like_password,
    looks_mixed,
    looks_random,
    looks_strong,
)

Found = tuple[int, int, str]
Check = Callable[[bytes], bool]

_BARE = r"[\"']?(?P<value>[^\s\"'|;&<>\0]{4,100})"
_TEXT = r"[bru@]{0,2}\\{0,3}[\"'](?P<value>[^\"'\\\n\0]{3,200})\\{0,3}[\"']"
_ARGUMENT = r"[^,()\n\0]{1,100}"
_SENTENCE = lazy_regex(
    rb"[ \t]{1,2}(?:(?:called|named|of|for [A-Za-z0-9_.-]{1,30})[ \t])?(?:[057][ \t])?[\"'`(]{0,2}(?P<value>[^\s\"'`<>|{}\0]{6,64})",
    re.IGNORECASE,
)
_ENDS = b".,;:!?)]"


def _anything(value: bytes) -> bool:
    """Where only a password can stand."""
    return not is_no_value(value)


def _quoted(value: bytes) -> bool:
    return looks_like_password(value, quoted=True)


def _random(value: bytes) -> bool:
    return looks_random(value, 16)


def _key(value: bytes) -> bool:
    return looks_random(value, 10) or looks_mixed(value)


def _login(value: bytes) -> bool:
    """Behind `admin/` a path goes on with words."""
    return looks_strong(value) and (has_mark(value) or looks_random(value, 8))


_BY_TWO = rf"[ \t]?[bru]?\\{{0,3}}[\"'][^\"'\n\0]{{1,80}}[\"'],[ \t]?{_TEXT}"
_BY_THREE = rf"\([ \t]?{_ARGUMENT},[ \t]?\\{{0,3}}[\"'][^\"'\n\0]{{1,60}}[\"'],[ \t]?{_TEXT}"
_SIGNED = rf"[^\"'\\\n\0]{{0,80}}(?:\\{{0,3}}[\"'][A-Za-z0-9-]{{3,10}}\\{{0,3}}[\"'],[ \t]?)?{_TEXT}"

# anchors, pattern from the anchor's start on, what the value must look like
RULES: tuple[tuple[str, str, Check], ...] = (
    ("cqlsh |az login|ldapsearch |ldapadd |ldapmodify |useradd |usermod |sqlcmd |bcp |plink |pscp |twine |mosquitto_pub |mosquitto_sub |unzip |zip |arangosh |mongoimport |mongoexport |mongorestore ",
     rf"[a-z_]+[^\n|;&\0]{{0,160}}? -(?:pw|[pPwa])[ \t]{{1,2}}{_BARE}", _anything),
    ("7z |7za |rar |unrar ", rf"[a-z0-9]+[^\n|;&\0]{{0,80}}? -p{_BARE}", _anything),
    ("echo |printf ", r"[a-z]+[ \t](?:-[en]+[ \t])?[\"']?(?P<value>[^\s\"'$|\0]{4,100})[\"']?[ \t]?\|[ \t]?(?:sudo (?:-S|--stdin)|(?:sudo )?(?:docker|podman) login|helm registry login|su |kinit |cryptsetup |passwd |gh auth )", _anything),
    ("passwd -f <<<|--with-token <<<|--password-stdin <<<|login <<<", rf"[^<\n]{{0,40}}<<<[ \t]?{_BARE}", _anything),
    ("secret put ", rf"secret put [A-Za-z0-9_]{{1,60}}[ \t]{{0,2}}<<<[ \t]?{_BARE}", _anything),
    ("ftp -u ", rf"ftp -u [^\s,]{{1,60}},{_BARE}", _anything),
    ("http -a |https -a |http --auth ", rf"https? -(?:a|-auth)[ =][^\s:]{{1,60}}:{_BARE}", _anything),
    ("mc alias set |mc config host add ", rf"mc [a-z ]{{5,20}}\S{{1,60}} \S{{1,100}} \S{{1,60}} {_BARE}", _anything),
    ("wpa_passphrase ", rf"wpa_passphrase [^\s]{{1,60}} {_BARE}", _anything),
    ("wifi connect ", rf"wifi connect [^\n]{{1,60}}? password {_BARE}", _anything),
    ("openssl enc", rf"openssl enc[^\n|;&\0]{{0,120}}? -(?:k|K|pass(?: pass:)?)[ \t]?{_BARE}", _anything),
    ("rabbitmqctl ", rf"rabbitmqctl (?:add_user|change_password) [^\s]{{1,60}} {_BARE}", _anything),
    ("smbclient |rpcclient |smbmap |smbget ", rf"[a-z]+[^\n|;&\0]{{0,120}}?-[uU][ \t]?[\"']?[^\s%\"'\0]{{1,60}}%{_BARE}", _anything),
    ("freerdp|rdesktop ", rf"[a-z]+[^\n|;&\0]{{0,120}}? (?:/p:|-p ?){_BARE}", _anything),
    ("password\"|password'", rf"password[\"']\)?(?:,[ \t]?|\)?\.(?:send_keys|sendKeys|type|fill|setValue|val)\([ \t]?){_TEXT}", lambda value: looks_strong(value) or _key(value)),
    ("hashsync(|password_hash(|hashpw(|hash_password(|generate_password_hash(", rf"[A-Za-z_]{{6,24}}\([ \t]?{_TEXT}", _quoted),
    ("login: |login as |log in as ", r"log ?in(?:: | as )[A-Za-z0-9@._-]{1,40} / [`\"']?(?P<value>[^\s\"'`/<>\0]{6,40})", looks_strong),
    ("ssh-keygen ", rf"ssh-keygen[^\n|;&\0]{{0,100}}? -[NP] {_BARE}", _anything),
    ("sp_addlogin ", rf"sp_addlogin [^\n,]{{1,60}},[ \t]?N?{_TEXT}", _quoted),
    ("net user ", rf"net user [^\s]{{1,40}} {_BARE}", _anything),
    ("wpa-psk ", rf"wpa-psk (?:ascii [0-9] )?{_BARE}", _anything),
    ("getenv(", rf"getenv\([^()\n]{{1,60}}\)[ \t]{{0,2}}(?:or|\|\||\?\?|\?:)[ \t]{{0,2}}{_TEXT}", lambda value: looks_strong(value) or _key(value)),
    ("vault login ", r"vault login (?P<value>[^\s=-][^\s=]{9,100})", _anything),
    ("assword:", r"assword:[^\n\0]{0,20}\n?[^\n\0]{0,20}send[ \t](?:--[ \t])?\\?[\"'](?P<value>[^\s\"'\\\0]{4,60})\\{1,2}[rn]", _anything),
    ("send ", r"send (?:-- )?\\?[\"']?(?P<value>[^\s\"'\\\0]{4,60})\\{1,2}r", lambda value: looks_strong(value) or looks_random(value, 10)),
    ("sqlplus |sqlldr |expdp |impdp |jdbc:oracle:", r"[a-z:]{4,20}[^\s/]{0,40}[ \t]?(?:-[a-zA-Z]+ )?[^\s/\0]{0,40}/(?P<value>[^@\s/\0]{3,60})@", _anything),
    ("credentials = (|credentials=(|creds = (|login(|basicauth(|basic_auth(|auth=(|auth = (|.auth(|authenticate(|credential(|credentials(|passwordauthentication(",
     rf"[A-Za-z_. =]{{4,40}}\({_BY_TWO}", _quoted),
    ("mysqli|mysql_connect|getconnection|oci_connect|ftp_login|pdo(|mysqldb.connect|pymysql.connect", rf"[A-Za-z_.0-9]{{3,30}}{_BY_THREE}", _quoted),
    ("password(|withpassword(|with_password(|passphrase(", rf"[A-Za-z_.]{{8,20}}\([ \t]?{_TEXT}", _quoted),
    ("securestring ", rf"securestring (?:-String )?{_TEXT}", _quoted),
    ("createhmac(|hmac.new(|jwt.sign(|jwt.encode(|jwt.verify(|jwt.decode(|fernet(|secretkeyspec(|aes.new(|cipher(", rf"[A-Za-z_.]{{5,20}}\({_SIGNED}", _key),
    ("enable secret |enable password ", rf"enable (?:secret|password) (?:[05789] )?{_BARE}", looks_strong),
    ("snmp-server community |rocommunity |rwcommunity ", rf"[a-z-]+(?: community)? {_BARE}", _anything),
    ("username ", rf"username [^\s\"'\0]{{1,40}} (?:privilege [0-9]{{1,2}} )?(?:and )?(?:password|secret) (?:[05789] )?{_BARE}", looks_strong),
    ("bindpw |rootpw |olcrootpw |pre-shared-key |ike-psk ", rf"[a-z-]+ (?:ascii-text )?{_BARE}", _anything),
    ("auth_user_pass |add_user ", rf"[a-z_]+ [^\s]{{1,60}} {_BARE}", looks_strong),
    ("user = |user=", r"user ?= ?[\"']?[A-Za-z0-9._-]{1,40}:(?P<value>[^\s\"'@/\0]{4,100})", looks_strong),
    ("admin / |admin/|root / |admin:|root:", r"(?:admin|root)(?: / |/|:)[`\"']?(?P<value>[^\s\"'`/@:<>\0]{6,40})", _login),
    (":5432:|:3306:|:1433:|:27017:|:1521:", r":[0-9]{4,5}:(?:[^:\s\0]{1,60}:)?[A-Za-z0-9_.-]{1,60}:(?P<value>[^\s:\"'\0]{4,100})", lambda value: not value.isdigit() and not is_no_value(value)),
    ("/with/key/", r"/with/key/(?P<value>[A-Za-z0-9_-]{16,64})", _anything),
)  # fmt: skip
_RANDOM_RULES = (
    ("stripe(|github(|bot(|login(|twilio(|octokit(|openai(|anthropic(|session(|oauthhandler(", rf"[A-Za-z0-9]{{3,20}}\({_SIGNED}"),
    ("/reset-password/|/reset/|/verify/|/invite/|/confirm/|/activate/|/magic/|/unsubscribe/", r"/[a-z-]{5,14}/(?P<value>[A-Za-z0-9_-]{20,200})"),
    ("?code=|&code=|?t=|sessionid=|&signature=|?signature=|sessid=", r"[?&]?[A-Za-z]{1,12}=(?P<value>[A-Za-z0-9_%.-]{20,200})"),
)  # fmt: skip
_AT_SERVER = lazy_regex(rb"[A-Za-z0-9_.-]{1,40}:(?P<value>[^\s\"'`/\0]{2,100})$")
_TABLE_HEAD = lazy_regex(rb"[^\n]{0,200}[,|\t;\"' ]passw(?:or)?d[^\n]{0,200}|passw(?:or)?d[,|\t;][^\n]{0,200}")
_TABLE_ROWS = 200
_Place = tuple[bytes, int, int]  # of a column: what stands between cells, which of them it is, of how many
_AROUND = b" \t\r\"'`"
_COLUMNS = frozenset((b"password", b"passwd", b"pass", b"pwd", b"passwort", b"user_password", b"passphrase"))
_INSERT = lazy_regex(
    rb"(?i)insert into [^\s(]{1,60}[ ]?\((?P<names>[^()\n]{1,300})\)\s{0,4}values\s{0,4}\((?P<values>[^\n]{1,600})"
)
_LITERAL = lazy_regex(rb"N?'(?P<text>[^'\n]{0,200})'|[^,()'\n]{1,60}(?=[,)])")
_SPEAKS = ("password ", "passcode ", "passphrase ", "pw ", "pwd ", "pass ")


def _rule(pattern: str, check: Check) -> Callable[[bytes, int, int, bytes], Found | None]:
    @cache  # when first met
    def compiled() -> re.Pattern[bytes]:
        return re.compile(pattern.encode(), re.IGNORECASE)

    def find(data: bytes, start: int, _end: int, _word: bytes) -> Found | None:
        match = compiled().match(data, start)
        if match is None:
            return None
        first, last = match.span("value")
        return (first, last, "password") if check(data[first:last].rstrip(_ENDS)) else None

    return find


def tables(data: bytes, low: bytes) -> Iterator[Found]:
    """Yield the passwords of a table whose head names such a column, separated by commas, bars, tabs or semicolons."""
    at, done = low.find(b"passw"), dict[_Place, int]()
    while at >= 0:
        end = low.find(b"\n", at)
        end = len(low) if end < 0 else end
        head = _TABLE_HEAD.fullmatch(low, low.rfind(b"\n", 0, at) + 1, end)
        if head is not None:
            yield from _below(data, head.group(), end + 1, done)
        at = low.find(b"passw", end)


def _below(data: bytes, head: bytes, at: int, done: dict[_Place, int]) -> Iterator[Found]:
    """Yield the passwords in the rows from `at` on, where the head has a column of them; `done` says which rows were read."""
    mark = max(b",|\t;", key=head.count)
    names = [name.strip(b" \t\"'`*") for name in head.split(bytes([mark]))]
    column = next((at for at, name in enumerate(names) if name in _COLUMNS), None)
    if column is not None and len(names) > 1:
        place = bytes([mark]), column, len(names)
        done[place] = yield from _column(data, max(at, done.get(place, 0)), place)


def _column(data: bytes, at: int, place: _Place) -> Generator[Found, None, int]:
    """Yield the passwords of a column; return where the rows after those that were read begin."""
    mark, column, columns = place
    for _ in range(_TABLE_ROWS):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        cells = data[at:end].split(mark)
        if len(cells) != columns:
            break
        cell = cells[column]
        first = at + sum(len(one) + 1 for one in cells[:column]) + len(cell) - len(cell.lstrip(_AROUND))
        value = cell.strip(_AROUND)
        if len(value) >= 4 and b" " not in value and value.strip(b"-: ") and not is_no_value(value):
            yield first, first + len(value), "password"
        at = end + 1
    return at


def _inserted(data: bytes, start: int, _end: int, _word: bytes) -> Found | None:
    """Return the password of `INSERT INTO users (name, password) VALUES ('bob', 'x')`."""
    match = _INSERT.match(data, start)
    if match is None:
        return None
    names = [name.strip(b" \t\"'`[]").lower() for name in match["names"].split(b",")]
    values = list(_LITERAL.finditer(data, *match.span("values")))
    column = next((at for at, name in enumerate(names) if name in _COLUMNS), None)
    if column is None or column >= len(values) or values[column]["text"] is None:
        return None
    return *values[column].span("text"), "password"


def _before_server(data: bytes, start: int, _end: int, _word: bytes) -> Found | None:
    """Return the password of `user:password@tcp(host)`."""
    match = _AT_SERVER.search(data[max(0, start - 120) : start])
    if match is None or is_no_value(match["value"]):
        return None
    return start - len(match["value"]), start, "password"


def _spoken(data: bytes, start: int, end: int, _word: bytes) -> Found | None:
    """Return what follows the word password in a sentence or a line of settings, where it can be nothing else."""
    match = _SENTENCE.match(data, end)
    if match is None or (start and data[start - 1 : start].isalnum()):
        return None
    if data[start - 1 : start] in (b"-", b"_", b".") and data[match.end() : match.end() + 1] not in (b"", b"\n", b"\r"):
        return None
    first = match.start("value")
    value = match["value"].rstrip(_ENDS)
    return (first, first + len(value), "password") if len(value) >= 6 and looks_strong(value) else None


ANCHORED: tuple[tuple[bytes, Callable[[bytes, int, int, bytes], Found | None]], ...] = (
    *((anchor.encode(), rule) for anchors, pattern, check in RULES for rule in [_rule(pattern, check)] for anchor in anchors.split("|")),
    *((anchor.encode(), rule) for anchors, pattern in _RANDOM_RULES for rule in [_rule(pattern, _random)] for anchor in anchors.split("|")),
    (b"@tcp(", _before_server),
    (b"@unix(", _before_server),
    (b"insert into ", _inserted),
    *((word.encode(), _spoken) for word in _SPEAKS),
)  # fmt: skip
