"""Measure the redactor on made credentials in the places where people leave them: recall per kind and per way they are shown.

    python bench/credentials.py [--missed]

The values are drawn here, the places are those of settings files, programs, commands, headers, addresses and sentences of many tools.
"""

from __future__ import annotations

import argparse
import base64
import json
import string
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from random import Random

from sessiontrackd.privacy import Redactor

LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
TOKENS = [
    "hex32",
    "hex40",
    "hex64",
    "al20",
    "al24",
    "al32",
    "al40",
    "al64",
    "b64",
    "b64url",
    "uuid",
    "upper24",
    "lower20",
]
PASSWORDS = ["word-mark", "mixed-mark", "word-digits", "two-words", "marks", "hyphens", "al16"]
# kind → the values that stand there, and the places; a backslash n is a line break
PLACES: dict[str, tuple[list[str], str]] = {
    "env": (
        TOKENS,
        r"""
API_KEY=¤\n
export SECRET_KEY=¤\n
STRIPE_SECRET=¤
DATABASE_TOKEN="¤"
APP_SECRET='¤'
AWS_SECRET_ACCESS_KEY=¤
SESSION_SECRET=¤\nPORT=3000
REACT_APP_API_KEY=¤
JWT_SECRET=¤
CLIENT_SECRET = ¤
ENCRYPTION_KEY=¤
set API_TOKEN=¤
$env:API_KEY = "¤"
setx AUTH_TOKEN ¤
ENV API_SECRET=¤
ENV API_TOKEN ¤
ARG NPM_TOKEN=¤
AUTH_KEY=¤
COOKIE_SECRET=¤
WEBHOOK_SECRET=¤
PRIVATE_TOKEN=¤
ACCESS_TOKEN=¤
REFRESH_TOKEN=¤
export OPENWEATHER_KEY=¤
SLACK_SIGNING_SECRET=¤
HEROKU_API_KEY=¤
""",
    ),
    "envpw": (
        PASSWORDS,
        r"""
DB_PASSWORD=¤\n
export PGPASSWORD=¤
MYSQL_ROOT_PASSWORD=¤
DB_PASS="¤"
POSTGRES_PASSWORD='¤'
SMTP_PASS=¤
REDIS_PASSWORD=¤
ADMIN_PASSWORD=¤
MYSQL_PWD=¤
EMAIL_HOST_PASSWORD=¤
password=¤
passwd=¤
PASS=¤
""",
    ),
    "yaml": (
        TOKENS,
        r"""
api_key: ¤\n
  secret: "¤"\n
auth_token: '¤'\n
client_secret: ¤
secretKeyBase: ¤
secret_key_base: ¤\n
access_key: ¤\nregion: eu
  token: ¤\n  name: x
bearer_token: ¤
apiKey: ¤
- name: API_TOKEN\n  value: ¤
- name: SECRET_KEY\n  value: "¤"
encryption_key: ¤
storage_key: ¤
""",
    ),
    "yamlpw": (
        PASSWORDS,
        r"""
password: ¤\n
  password: "¤"\n
db_password: '¤'\n
pass: ¤\n
  pwd: ¤\n
  - name: DB_PASSWORD\n    value: ¤\n
    POSTGRES_PASSWORD: ¤\n
spring.datasource.password: ¤\n
passphrase: ¤\n
users:\n  - name: bob\n    password: ¤\n
""",
    ),
    "json": (
        TOKENS,
        r"""
{"apiKey": "¤"}
{"client_id":"web","client_secret":"¤"}
{"token":"¤"}
"accessToken": "¤",
"secret": "¤"
"auth": "¤"
{"private_key_id": "¤"}
{\\"api_key\\": \\"¤\\"}
"refresh_token":"¤","x":1
"SecretAccessKey": "¤"
"SessionToken": "¤"
"x-api-key": "¤"
"authToken":"¤"
"subscriptionKey": "¤"
"instrumentationKey": "¤"
"connectionKey":"¤"
""",
    ),
    "jsonpw": (
        PASSWORDS,
        r"""
{"password": "¤"}
{"user":"bob","pass":"¤"}
"pwd":"¤"
{\\"password\\":\\"¤\\"}
"passphrase": "¤"
{"host":"db","username":"admin","password":"¤","port":5432}
"dbPassword": "¤"
""",
    ),
    "ini": (
        TOKENS,
        r"""
[api]\nkey = ¤\n
aws_secret_access_key = ¤\n
token=¤\nuser=bob
secret = ¤
api.key=¤
app.secret=¤
//registry.example/:_authToken=¤
oauth_token = ¤
license_key = ¤
secret_key=¤
""",
    ),
    "inipw": (
        PASSWORDS,
        r"""
[db]\nuser = bob\npassword = ¤\n
spring.datasource.password=¤\n
db.password = ¤
jdbc.password=¤
rpcpassword=¤
smtp_password = "¤"
user=bob;password=¤;
ftp_pass = ¤
passwd = ¤\n
""",
    ),
    "xml": (
        TOKENS,
        r"""
<apiKey>¤</apiKey>
<add key="ApiKey" value="¤" />
<secret>¤</secret>
<token>¤</token>
<string name="api_key">¤</string>
<key>APIKey</key>\n<string>¤</string>
<property name="secretKey" value="¤"/>
<param name="token">¤</param>
<entry key="accessKey">¤</entry>
<ClientSecret>¤</ClientSecret>
""",
    ),
    "xmlpw": (
        PASSWORDS,
        r"""
<password>¤</password>
<Pass>¤</Pass>
<property name="password" value="¤"/>
<add key="DbPassword" value="¤"/>
<user name="bob" password="¤"/>
<Password>¤</Password>\n
<property name="hibernate.connection.password">¤</property>
<server><username>deploy</username><password>¤</password></server>
password="¤"
""",
    ),
    "code": (
        TOKENS,
        r"""
api_key = "¤"
const apiKey = '¤';
let token: string = "¤";
String SECRET = "¤";
private static final String API_KEY = "¤";
var secretKey = []byte("¤")
secret := "¤"
$apiKey = '¤';
define('SECRET_KEY', '¤');
define( 'AUTH_KEY',         '¤' );
os.environ["API_KEY"] = "¤"
os.Setenv("TOKEN", "¤")
config.api_key = "¤"
client = Client(api_key="¤")
new Client({ apiKey: '¤' })
client = Client(token="¤", timeout=3)
#define API_KEY "¤"
"Authorization": "Bearer ¤"
headers = {"X-API-Key": "¤"}
headers["x-auth-token"] = "¤"
key: "¤", // api key
.withSecret("¤")
setApiKey("¤")
client.setToken('¤')
auth_token => "¤"
:secret_key => '¤'
secret: '¤',
API_KEY: &str = "¤";
val apiKey = "¤"
static let apiKey = "¤"
NSString *apiKey = @"¤";
SECRET_KEY = '¤'
app.config["SECRET_KEY"] = "¤"
process.env.API_KEY || "¤"
os.getenv("API_KEY", "¤")
getenv("TOKEN") ?: "¤"
jwt.sign(payload, "¤")
jwt.encode(payload, "¤", algorithm="HS256")
hmac.new(b"¤", msg)
createHmac("sha256", "¤")
Key('¤')
session({ secret: "¤" })
openai.api_key = "¤"
boto3.client("s3", aws_secret_access_key="¤")
new SecretKeySpec("¤".getBytes(), "AES")
Fernet(b"¤")
""",
    ),
    "codepw": (
        PASSWORDS,
        r"""
password = "¤"
const password = '¤';
String dbPassword = "¤";
$db_pass = '¤';
define('DB_PASSWORD', '¤');
connect(host="db", user="bob", password="¤")
connect(host, user, passwd='¤')
new mysqli("localhost", "root", "¤", "app")
mysqli_connect("localhost", "root", "¤")
DriverManager.getConnection(url, "sa", "¤")
auth=("bob", "¤")
auth = HTTPBasicAuth('bob', '¤')
ssh.connect(host, username="bob", password="¤")
smtp.login("bob@acme.example", "¤")
new NetworkCredential("bob", "¤")
pw := "¤"
var pwd = "¤";
password: '¤',
let pass = "¤";
IDENTIFIED BY '¤'
ALTER USER bob WITH PASSWORD '¤';
CREATE USER bob PASSWORD '¤'
setPassword("¤")
.password("¤")
withPassword("¤")
ftp.login("bob", "¤")
passphrase='¤'
ConvertTo-SecureString "¤" -AsPlainText -Force
-Password "¤"
AES.new("¤")
"postgres", "¤"
if password == '¤':
PASSWORD_DEFAULT = "¤"
expect "assword:" \nsend "¤\\r"
""",
    ),
    "url": (
        [*PASSWORDS, "al20", "al32", "hex32"],
        r"""
postgres://app:¤@db.acme.example:5432/app
mysql://root:¤@localhost/x
mongodb+srv://bob:¤@cluster0.ab1cd.mongodb.net/test
redis://:¤@cache:6379/0
amqp://guest:¤@mq:5672
https://bob:¤@git.acme.example/x.git
ftp://bob:¤@files.acme.example
smtp://bob%40acme.example:¤@smtp.acme.example:587
postgresql+psycopg2://u:¤@h/db
http://admin:¤@10.0.0.4:8080/
clickhouse://default:¤@ch:9000/db
jdbc:oracle:thin:scott/¤@//db:1521/x
jdbc:mysql://db/app?user=root&password=¤
jdbc:sqlserver://h:1433;user=sa;password=¤;
https://api.acme.example/v1?api_key=¤
https://api.acme.example/v1?access_token=¤&x=1
https://x.example/cb?token=¤
https://maps.example/api?key=¤
https://x.example/?secret=¤
https://oauth2:¤@gitlab.acme.example/a.git
https://x-access-token:¤@github.com/a/b
sftp://bob:¤@h:22/
""",
    ),
    "connstr": (
        PASSWORDS,
        r"""
Server=tcp:db,1433;Database=app;User ID=sa;Password=¤;Encrypt=True
Data Source=db;Initial Catalog=app;User Id=sa;Pwd=¤;
host=db user=app password=¤ dbname=app
Server=db;Uid=root;Pwd=¤;
dsn = "user:¤@tcp(127.0.0.1:3306)/app"
db:5432:app:bob:¤
bob/¤@ORCL
UID=sa;PWD=¤
root:¤@tcp(db:3306)/x
localhost:3306:root:¤
""",
    ),
    "connstr2": (
        ["b64", "b64long"],
        r"""
DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=¤;EndpointSuffix=core.windows.net
Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=¤
HostName=hub.azure-devices.net;SharedAccessKeyName=own;SharedAccessKey=¤
AccountEndpoint=https://x.documents.azure.com:443/;AccountKey=¤;
""",
    ),
    "header": (
        TOKENS,
        r"""
Authorization: Bearer ¤
Authorization: token ¤
X-Api-Key: ¤
-H "Authorization: Bearer ¤"
-H 'X-Auth-Token: ¤'
-H 'apikey: ¤'
PRIVATE-TOKEN: ¤
X-Vault-Token: ¤
Cookie: session=¤
Set-Cookie: sid=¤; HttpOnly
Proxy-Authorization: Basic ¤
Authorization: ApiKey ¤
X-Amz-Security-Token: ¤
x-goog-api-key: ¤
Ocp-Apim-Subscription-Key: ¤
Cookie: csrftoken=abc; sessionid=¤; theme=dark
Authorization: ¤
X-Access-Token: ¤
DD-API-KEY: ¤
Api-Token: ¤
document.cookie = "auth=¤"
cookies={"session": "¤"}
""",
    ),
    "cli": (
        PASSWORDS,
        r"""
mysql -u root -p¤ app
mysqldump -uroot -p¤ db
psql "host=db password=¤"
PGPASSWORD=¤ psql -h db
curl -u bob:¤ https://x.example
curl --user "bob:¤" https://x.example
sshpass -p ¤ ssh bob@h
sshpass -p '¤' scp a b
docker login -u bob -p ¤ reg.example
redis-cli -a ¤ ping
mongo -u bob -p ¤ --host h
--password ¤
--password=¤
--passphrase ¤
openssl enc -aes-256-cbc -k ¤
openssl rsa -passin pass:¤
ldapsearch -D cn=admin -w ¤ -b dc=x
net use z: \\\\h\\s /user:bob ¤
htpasswd -b .htpasswd bob ¤
useradd -p ¤ bob
echo "bob:¤" | chpasswd
echo ¤ | sudo -S ls
echo "¤" | docker login -u bob --password-stdin
wget --user=bob --password=¤ http://x.example
smbclient //h/s -U bob%¤
mysql --user=root --password=¤
az login -u bob -p ¤
sqlcmd -S db -U sa -P ¤
svn --username bob --password ¤ up
rabbitmqctl add_user bob ¤
keytool -storepass ¤ -keystore k
zip -P ¤ a.zip b
7z x -p¤ a.7z
gpg --batch --passphrase ¤ -d x
ansible-playbook -e "ansible_password=¤"
kubectl create secret generic x --from-literal=password=¤
vault kv put secret/x password=¤
vncpasswd -f <<< ¤
xfreerdp /u:bob /p:¤ /v:h
pg_dump -W ¤ x
http -a bob:¤ x.example
ftp -u bob,¤ h
wget --http-passwd=¤ x
createuser --pwd=¤
influx -username bob -password ¤
mc alias set m https://x.example bob ¤
lftp -u bob,¤ h
expect -c "send ¤\\r"
cqlsh -u cassandra -p ¤
plink -pw ¤ bob@h
nmcli dev wifi connect home password ¤
wpa_passphrase home ¤
""",
    ),
    "clitok": (
        TOKENS,
        r"""
--token ¤
--api-key ¤
--api-key=¤
--secret ¤
gh auth login --with-token <<< ¤
heroku auth:token ¤
aws configure set aws_secret_access_key ¤
npm config set //r.example/:_authToken ¤
vault login ¤
--from-literal=api-key=¤
terraform login -token=¤
fly secrets set API_KEY=¤
heroku config:set SECRET=¤
wrangler secret put KEY <<< ¤
curl -H "X-Token: ¤" x.example
curl -d "client_secret=¤" x.example
curl "https://x.example/?apikey=¤"
--client-secret ¤
--access-token=¤
--auth-token ¤
consul acl set-agent-token default ¤
ngrok authtoken ¤
doctl auth init -t ¤
sentry-cli login --auth-token ¤
kubeadm join h:6443 --token ¤
docker swarm join --token ¤ h:2377
git config credential.token ¤
twine upload -u __token__ -p ¤
snyk auth ¤
export TF_VAR_api_key=¤
""",
    ),
    "prose": (
        PASSWORDS,
        r"""
The password is ¤.
the password for bob is ¤
my password is "¤"
password: `¤`
pw: ¤
Use password ¤ to log in.
log in as admin / ¤
user: admin, pass: ¤
credentials: admin:¤
admin/¤
username bob and password ¤
I set the DB password to ¤
the root password was changed to `¤`
passcode ¤
The default login is admin with password ¤
Wifi password: ¤
ssh bob@h (password: ¤)
login bob password ¤
pass = ¤
the pwd is ¤
Here is the password:\n¤\n
Password\n¤
new password → ¤
user=bob pass=¤
my pass is ¤
**Password:** ¤
| password | ¤ |
- Password: ¤
Passwort: ¤
mot de passe : ¤
contraseña: ¤
PIN/password = ¤
(pw ¤)
""",
    ),
    "prosetok": (
        TOKENS,
        r"""
The token is ¤.
my API key is ¤
here is the key: ¤
Use this token: `¤`
api key: ¤
the secret key is "¤"
token → ¤
API token:\n```\n¤\n```
I will use the key ¤ for now
The client secret is ¤
access token ¤
the API key you gave me (¤) works
**API Key:** `¤`
| token | ¤ |
secret key = ¤
key=¤
Bearer ¤
my openai key: ¤
the key is: ¤
here are the credentials:\nclient id: web\nclient secret: ¤
webhook secret is ¤
the license key ¤ is valid
auth code ¤
""",
    ),
    "files": (
        PASSWORDS,
        r"""
machine api.acme.example login bob password ¤
machine h\n  login bob\n  password ¤\n
db.acme.example:5432:*:bob:¤
bob:¤:1001:1001::/home/bob
<Pass encoding="plain">¤</Pass>
requirepass ¤\n
masterauth ¤\n
user = bob:¤
proxy = http://bob:¤@proxy:3128
"sftp": {"user":"bob","password":"¤"}
[client]\nuser=root\npassword=¤\n
network={\n ssid="home"\n psk="¤"\n}
ppp: bob * ¤ *
bindpw ¤
rootpw ¤
olcRootPW: ¤
auth_user_pass bob ¤
define("DB_PASSWORD", "¤")
account default\npassword ¤\n
set imap_pass="¤"
my_pass = ¤
smtp_sasl_password_maps = static:bob:¤
enable secret ¤
enable password ¤
username bob password 0 ¤
snmp-server community ¤ RO
pre-shared-key ¤
sasl.jaas.config=x required username="bob" password="¤";
ansible_ssh_pass=¤
ansible_become_pass: ¤
users: bob:¤
hub.docker.com bob ¤
PASSWORD ¤\n
""",
    ),
}
SHOWN: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "with line numbers": lambda text: "\n".join(f"{at:6}→{line}" for at, line in enumerate(text.split("\n"), 3)),
    "as a change": lambda text: "\n".join("+" + line for line in text.split("\n")),
    "found by grep": lambda text: "\n".join(f"conf/a.env:{at}:{line}" for at, line in enumerate(text.split("\n"), 3)),
    "as JSON": json.dumps,
    "as JSON in JSON": lambda text: json.dumps(json.dumps({"x": text})),
    "in a sentence": lambda text: f"I ran `{text.strip()}` and it failed.",
}


def value(draw: Random, kind: str) -> str:
    """Draw a value."""

    def of(count: int, letters: str = LETTERS) -> str:
        return "".join(draw.choice(letters) for _ in range(count))

    def word() -> str:
        return draw.choice(
            [
                "harbour",
                "copper",
                "winter",
                "falcon",
                "summer",
                "orange",
                "dragon",
                "monkey",
                "silver",
                "forest",
                "shadow",
                "welcome",
            ]
        )

    makers: dict[str, Callable[[], str]] = {
        "b64": lambda: base64.b64encode(draw.randbytes(32)).decode(),
        "b64long": lambda: base64.b64encode(draw.randbytes(64)).decode(),
        "b64url": lambda: base64.urlsafe_b64encode(draw.randbytes(32)).decode().rstrip("="),
        "uuid": lambda: "-".join((of(8, HEX), of(4, HEX), "4" + of(3, HEX), "a" + of(3, HEX), of(12, HEX))),
        "upper24": lambda: of(24, string.ascii_uppercase + string.digits),
        "lower20": lambda: of(20, string.ascii_lowercase + string.digits),
        "word-mark": lambda: word().capitalize() + str(draw.randint(10, 2999)) + draw.choice("!#@$%"),
        "mixed-mark": lambda: of(10) + draw.choice("!@#$%^&*") + of(3),
        "word-digits": lambda: word() + str(draw.randint(1, 999)),
        "two-words": lambda: word() + word(),
        "marks": lambda: of(12, LETTERS + "!@#%^*-_+="),
        "hyphens": lambda: f"{word()}-{word()}-{draw.randint(1, 99)}",
    }
    if kind.startswith("hex"):
        return of(int(kind[3:]), HEX)
    return makers[kind]() if kind in makers else of(int(kind[2:]))


def samples(seed: int = 1) -> Iterator[tuple[str, str, str, str]]:
    """Yield kind, place, text and the credential in it."""
    draw = Random(seed)
    for kind, (values, places) in PLACES.items():
        for place in places.strip("\n").split("\n"):
            for name in draw.sample(values, min(4, len(values))):
                secret = value(draw, name)
                yield kind, place, place.replace("\\n", "\n").replace("\\\\", "\\").replace("¤", secret), secret


def is_found(text: str, secret: str) -> bool:
    """Say whether nine tenths of the secret would be replaced."""
    start = text.find(secret)
    end = start + len(secret)
    hidden = sum(max(0, min(span.end, end) - max(span.start, start)) for span in Redactor().spans(text))
    return hidden >= 0.9 * len(secret)


def main() -> int:
    """Print recall per kind and per way of showing; exit 1 below nine tenths."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--missed", action="store_true", help="show the places in which some were missed")
    is_wanted = ask.parse_args().missed
    seen: dict[str, list[bool]] = defaultdict(list)
    missed: dict[str, list[bool]] = defaultdict(list)
    for kind, place, text, secret in samples():
        for shown, show in SHOWN.items():
            given = show(text)
            if secret in given:
                found = is_found(given, secret)
                seen["all"].append(found)
                seen[shown].append(found)
                if shown == "plain":
                    seen[kind].append(found)
                    missed[f"{kind}: {place}"].append(found)
    for name, hits in seen.items():
        print(f"{name:20}{sum(hits) / len(hits):.3f} of {len(hits)}")
    for name, hits in missed.items() if is_wanted else ():
        if not all(hits):
            print(f"  missed {len(hits) - sum(hits)} of {len(hits)}: {name}")
    return int(sum(seen["all"]) < 0.9 * len(seen["all"]))


if __name__ == "__main__":
    sys.exit(main())
