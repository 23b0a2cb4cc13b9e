"""How credentials look that give themselves away by a fixed beginning or shape.

A line of TOKENS is: kind, alphabet, least length of what follows the prefix, prefixes. A token runs on as far as its alphabet
does, so a longer generation of the same token is covered too. What has an inner structure stands in SHAPES.

Source: the public formats of the vendors, as collected in the rules of gitleaks, secretlint and detect-secrets, seen 2026-11.
"""

from __future__ import annotations

# A question mark after the alphabet: what follows must look random, the prefix alone proves little.
# w letters and digits · u also _ - · e also = · t also . · b base64 of both kinds · x hex · A capitals and digits
ALPHABETS = {
    "w": "A-Za-z0-9",
    "u": "A-Za-z0-9_-",
    "e": "A-Za-z0-9_=-",
    "t": "A-Za-z0-9_.=-",
    "b": "A-Za-z0-9+/=_-",
    "x": "A-Fa-f0-9",
    "A": "A-Z0-9",
}

TOKENS = """
private-key       b 40 LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVk LS0tLS1CRUdJTiBQUklWQVRFIEtFWS LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZ LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFURSBLRVk
anthropic-key     u 16 sk-ant-
openai-key        u 20 sk-proj- sk-svcacct- sk-admin- sk-None-
openai-key        w? 36 sess-
openai-key        w? 20 sk-
openrouter-key    w 30 sk-or-v1-
litellm-key       u 18 sk-lf- pk-lf-
huggingface-token w 28 hf_ api_org_
perplexity-key    w 30 pplx-
groq-key          w 30 gsk_
xai-key           w 40 xai-
replicate-token   w 30 r8_
nvidia-key        u 40 nvapi-
langsmith-key     u 30 lsv2_pt_ lsv2_sk_ ls__
pinecone-key      u 40 pcsk_
ai-key            u? 24 tvly- csk- fc- esecret_ e2b_ tgp_v1_ pa- jina_ wandb_v1_
aws-bedrock-key   b 60 ABSK
aws-bedrock-key   b 20 bedrock-api-key-
google-key        u 30 AIza
google-token      t 20 ya29.
google-secret     u 20 GOCSPX-
google-token      u? 36 1//0
alibaba-key       w? 12 LTAI
tencent-key       w? 28 AKID
digitalocean-token w 40 dop_v1_ doo_v1_ dor_v1_ dos_v1_
heroku-key        u 30 HRKU-
fly-token         b 40 fo1_ fm1a_ fm1r_ fm2_
scalingo-token    u 40 tk-us-
yandex-key        u? 30 AQVN
cloudflare-token  w 30 cfk_ cfut_ cfat_
linode-token      w 40 lin_pat_
vultr-token       w 30 vultr_
render-key        w 20 rnd_
netlify-token     w 30 nfp_ nfc_ nfu_ nfo_
supabase-key      u 20 sbp_ sb_secret_ sb_publishable_
neon-key          w? 40 napi_
github-token      w 24 ghp_ gho_ ghu_ ghr_
github-token      t 24 ghs_
github-token      u 22 github_pat_
gitlab-token      t 16 glpat- gldt- glrt- glft- glsoat- glffct- glimt- glagent- gloas- glptt- glcbt- glrtr- glwt-
gitlab-token      u 16 GR1348941
gitlab-session    w 24 _gitlab_session=
bitbucket-token   e 20 ATBB ATCTT3
atlassian-token   t 40 ATATT3 ATOATT
sourcegraph-token u 36 sgp_ slk_ sgd_ sgs_ sgw_
gitea-token       x 40 gta_
npm-token         w 28 npm_
pypi-token        u 30 pypi-AgE
pypi-token        u? 40 pypi-
rubygems-token    w 40 rubygems_
cargo-token       w? 28 cio
clojars-token     w 40 CLOJARS_
docker-token      u 20 dckr_pat_ dckr_oat_
jfrog-token       w 20 AKCp
jfrog-token       w 50 cmVmd
nuget-key         w? 40 oy2
prefect-key       w 30 pnu_ pnb_
pulumi-token      x 36 pul-
sonar-token       w 36 squ_ sqp_ sqa_
octopus-key       A? 24 API-
circleci-token    u 30 CCIPAT_ CCIPRJ_
buildkite-token   w 30 bkua_ bkaa_ bkpt_ bkct_
slack-token       u 10 xoxb- xoxp- xoxa- xoxr- xoxo- xoxs- xoxe- xoxc- xoxe.xoxb- xoxe.xoxp-
slack-token       b 20 xoxd-
slack-token       u 20 xapp-
sendgrid-key      t 30 SG.
brevo-key         u 40 xkeysib- xsmtpsib-
mailgun-key       x 30 key- pubkey-
resend-key        u? 24 re_
postmark-token    w 30 pmak_
stripe-key        w 10 sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_ pk_live_ pk_test_
webhook-secret    b 20 whsec_ v1,whsec_
square-token      u? 50 EAAA
square-token      u 20 sq0atp- sq0idp- sq0idb-
shopify-token     w 24 shpat_ shpca_ shppa_ shpss_ shpua_ shptka_
flutterwave-key   u 12 FLWSECK_TEST- FLWPUBK_TEST- FLWSECK- FLWPUBK- FLWSECK_TEST FLWPUBK_TEST
plaid-token       u 30 access-sandbox- access-development- access-production-
easypost-key      w 50 EZAK EZTK
shippo-token      w 30 shippo_live_ shippo_test_
duffel-token      e 40 duffel_live_ duffel_test_
lob-key           x 35 live_pub_ test_pub_
razorpay-key      w 14 rzp_live_ rzp_test_
paystack-key      x 30 sk_live_
mercadopago-token u? 40 APP_USR- TEST-
databricks-token  x 28 dapi dkea dose
doppler-token     t 36 dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.
dynatrace-token   t 50 dt0c01. dt0s01. dt0s02. dt0s08. dt0s16.
grafana-token     u 36 glsa_
grafana-token     b 28 glc_
grafana-key       b 60 eyJrIjoi
newrelic-key      w 18 NRAK- NRII- NRJS- NRAA- NRRA- NRIQ- NRSP-
sentry-token      b 50 sntryu_ sntrys_
planetscale-token t 28 pscale_tkn_ pscale_oauth_ pscale_pw_
vault-token       u 20 hvs. hvb. hvr.
openshift-token   u 40 sha256~
infracost-token   w 30 ico-
postman-key       u 40 PMAK-
tailscale-key     u 16 tskey-
netbird-token     w 30 nbp_
defined-key       e 40 dnkey-
posthog-key       w 40 phc_ phx_ phs_
honeycomb-key     w 40 hcaik_ hcxik_ hcalk_ hcamk_
datadog-key       w 30 ddapp_ ddapi_
pagerduty-key     u 20 pdus+
linear-token      w 30 lin_api_ lin_oauth_
notion-token      w? 40 ntn_ secret_
figma-token       u 30 figd_ figo_ figu_ figr_
vercel-token      w 20 vcp_ vci_ vca_ vcr_ vck_
onepassword-token b 60 ops_eyJ
age-key           A 50 AGE-SECRET-KEY-1
adobe-secret      w 30 p8e-
facebook-token    w 90 EAAM EAAC EAAG EAAB EAAJ EAAD IGQ IGAA
frameio-token     e 55 fio-u-
readme-key        w 60 rdme_
typeform-token    t 40 tfp_
intra42-secret    x 60 s-s4t2ud- s-s4t2af-
settlemint-token  w 14 sm_aat_ sm_pat_ sm_sat_
contentful-token  u 40 CFPAT-
hubspot-token     u 30 pat-na1- pat-na2- pat-eu1- pat-ap1-
launchdarkly-key  u? 36 sdk- api- mob- rel-
trello-token      w 60 ATTA
dropbox-token     u? 100 sl.u. sl.
api-key           w? 24 pk_ sk_ ak_ rk_ api_key_ apikey_
apify-token       w 30 apify_api_
algolia-key       w 60 alg_
ngrok-key         w 40 ngrok_ cr_
chromatic-token   w 12 chpt_
endor-key         u 16 endr+
aiven-password    u 16 AVNS_
materialize-key   x 60 mzp_
persona-key       u 30 persona_sandbox_ persona_production_
rootly-key        x 60 rootly_
ubidots-token     u? 30 BBFF- BBUS-
onfido-token      u 30 api_live. api_sandbox. api_live_us. api_live_ca.
deepgram-key      x 36 dg_
cratesio-token    w 30 crates_
polar-token       w 30 polar_oat_ polar_pat_ polar_whs_
pydantic-token    u 40 pylf_v1_us_ pylf_v1_eu_ pylf_v
"""

# kind, what to find, alphabet and most characters to walk back from there, pattern that must match at that place.
# Nothing to find: what there is to find is too common (a dot, an @), so the pattern itself is looked for everywhere.
# A question mark after the kind: it must look random as well. The pattern's group 1, where it has one, is what is replaced.
SHAPES = (
    ("aws-secret", "AKIA", "", 0, r"AKIA[A-Z0-9]{16}[\"']?[,;:|\s]{1,4}[\"']?([A-Za-z0-9/+]{40})"),
    ("aws-secret", "ASIA", "", 0, r"ASIA[A-Z0-9]{16}[\"']?[,;:|\s]{1,4}[\"']?([A-Za-z0-9/+]{40})"),
    ("password-hash", "{SHA}", "", 0, r"\{SHA\}([A-Za-z0-9+/]{20,60}={0,2})"),
    ("password-hash", "{SSHA}", "", 0, r"\{SSHA\}([A-Za-z0-9+/]{20,60}={0,2})"),
    ("aws-key-id", "A3T", "", 0, r"A3T[A-Z0-9]{17}"),
    ("aws-key-id", "AKIA", "", 0, r"AKIA[A-Z0-9]{16}"),
    ("aws-key-id", "ASIA", "", 0, r"ASIA[A-Z0-9]{16}"),
    ("aws-key-id", "ABIA", "", 0, r"ABIA[A-Z0-9]{16}"),
    ("aws-key-id", "ACCA", "", 0, r"ACCA[A-Z0-9]{16}"),
    ("aws-key-id", "AROA", "", 0, r"AROA[A-Z0-9]{16}"),
    ("aws-key-id", "AIDA", "", 0, r"AIDA[A-Z0-9]{16}"),
    ("aws-signature", "X-Amz-Signature=", "", 0, r"X-Amz-Signature=([0-9a-f]{32,128})"),
    ("aws-token", "X-Amz-Security-Token=", "", 0, r"X-Amz-Security-Token=([A-Za-z0-9%+/=]{20,1000})"),
    ("azure-signature", "sig=", "", 0, r"sig=([A-Za-z0-9%+/=_-]{30,200})"),
    ("azure-secret", "Q~", "A-Za-z0-9_.~", 4, r"[A-Za-z0-9_.~]{3}[0-9]Q~[A-Za-z0-9_.~-]{28,60}"),
    ("azure-key", "AzCa", "A-Za-z0-9+/", 90, r"[A-Za-z0-9+/]{20,90}AzCa[A-Za-z0-9+/=]{4,12}"),
    ("cloudflare-key", "v1.0-", "", 0, r"v1\.0-[0-9a-f]{20,40}-[0-9a-f]{100,200}"),
    ("yandex-token", "t1.", "", 0, r"t1\.[A-Z0-9a-z_-]{1,200}={0,2}\.[A-Z0-9a-z_-]{60,100}={0,2}"),
    ("yandex-key", "YC", "", 0, r"YC[A-Za-z0-9_-]{38}"),
    ("discord-webhook", "/api/webhooks/", "", 0, r"/api/webhooks/([0-9]{10,24}/[A-Za-z0-9_-]{30,100})"),
    ("telegram-token", ":A", "0-9", 16, r"[0-9]{6,16}:A[A-Za-z0-9_-]{33,40}"),
    ("terraform-token", ".atlasv1.", "A-Za-z0-9", 14, r"[A-Za-z0-9]{10,14}\.atlasv1\.[A-Za-z0-9_=-]{40,100}"),
    ("mailchimp-key", "-us", "0-9a-f", 32, r"[0-9a-f]{32}-us[0-9]{1,2}"),
    ("maxmind-key", "_mmk", "A-Za-z0-9_", 40, r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"),
    ("lob-key", "", "", 0, r"(?:live|test)_[A-Fa-f0-9]{35,300}"),
    ("airtable-token", "", "", 0, r"pat[A-Za-z0-9]{14}\.[A-Fa-f0-9]{40,64}"),
    ("harness-key", "pat.", "", 0, r"pat\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),
    ("harness-key", "sat.", "", 0, r"sat\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),
    ("facebook-token", "", "", 0, r"[0-9]{15,16}(?:\||%7C)[A-Za-z0-9_-]{27,40}"),
    ("twitter-token", "AAAAAAAAAAAAAAAAAAAAAA", "", 0, r"A{22}[A-Za-z0-9%]{70,120}"),
    ("clickhouse-key", "4b1d", "", 0, r"4b1d[A-Za-z0-9]{38}"),
    ("jfrog-key", "AKC", "", 0, r"AKC[A-Za-z0-9]{10,100}"),
    ("jfrog-key", "AP", "", 0, r"AP[0-9A-F][A-Za-z0-9]{8,100}"),
    ("vault-token?", "", "", 0, r"s\.[A-Za-z0-9]{24}"),
    ("mapbox-token", "", "", 0, r"[ps]k\.[A-Za-z0-9]{40,100}\.[A-Za-z0-9_-]{20,30}"),
    ("onepassword-key", "A3-", "", 0, r"A3-[A-Z0-9]{6}-[A-Z0-9]{5,6}-?[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}(?:-[A-Z0-9]{5})?"),
    ("authress-key", "sc_", "", 0, r"sc_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120}"),
    ("authress-key", "ext_", "", 0, r"ext_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120}"),
    ("authress-key", "scauth_", "", 0, r"scauth_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120}"),
    ("authress-key", "authress_", "", 0, r"authress_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120}"),
    ("square-secret", "sq0csp-", "", 0, r"sq0csp-[A-Za-z0-9\\^\]\[_-]{36,60}"),
    ("twilio-key", "SK", "", 0, r"SK(?:[0-9a-z]{32}|[0-9A-F]{32})"),
    ("twilio-sid", "AC", "", 0, r"AC[0-9a-z]{32}"),
    ("slack-webhook", "hooks.slack.com/", "A-Za-z:/", 8, r"(?:https?://)?hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{20,100}"),
    ("teams-webhook", ".webhook.office.com/", "A-Za-z0-9:/-", 60, r"(?:https?://)?[A-Za-z0-9-]{1,50}\.webhook\.office\.com/webhookb2/[A-Za-z0-9@/-]{40,300}"),
    ("webhook", "hooks.zapier.com/", "", 0, r"hooks\.zapier\.com/hooks/catch/([0-9]{4,12}/[A-Za-z0-9]{4,20})"),
    ("sidekiq-secret", "", "", 0, r"([A-Fa-f0-9]{8}:[A-Fa-f0-9]{8})@(?:gems|enterprise)\.contribsys"),
    ("sidekiq-secret", "CONTRIBSYS__COM", "", 0, r"CONTRIBSYS__COM[\"' ]{0,3}[:=][\"' ]{0,3}([A-Fa-f0-9]{8}:[A-Fa-f0-9]{8})"),
    ("softlayer-key", "api.softlayer.com/", "A-Za-z:/", 8, r"(?:https?://)?api\.softlayer\.com/[a-z]{3,8}/v[0-9.]{1,5}/[A-Za-z0-9]{40,80}"),
    ("paypal-token", "access_token$production$", "", 0, r"access_token\$production\$[a-z0-9]{10,20}\$[0-9a-f]{32}"),
    ("salesforce-token", "!AQ", "A-Za-z0-9", 18, r"00D[A-Za-z0-9]{12,15}!AQ[A-Za-z0-9_.]{40,200}"),
    ("firebase-token", ":APA91b", "A-Za-z0-9_-", 24, r"[A-Za-z0-9_-]{0,24}:APA91b[A-Za-z0-9_-]{60,200}"),
    ("jwt", "ZXlK", "", 0, r"ZXlK[A-Za-z0-9+/=_-]{60,1000}"),
    ("password-hash", "$2", "", 0, r"\$2[abxy]?\$[0-9]{2}\$[A-Za-z0-9./]{53}"),
    ("password-hash", "$apr1$", "", 0, r"\$apr1\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{22}"),
    ("password-hash", "$1$", "", 0, r"\$1\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{22}"),
    ("password-hash", "$5$", "", 0, r"\$5\$(?:rounds=[0-9]{1,9}\$)?[A-Za-z0-9./]{1,16}\$[A-Za-z0-9./]{43}"),
    ("password-hash", "$6$", "", 0, r"\$6\$(?:rounds=[0-9]{1,9}\$)?[A-Za-z0-9./]{1,16}\$[A-Za-z0-9./]{86}"),
    ("password-hash", "$y$", "", 0, r"\$y\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{1,90}\$[A-Za-z0-9./]{43}"),
    ("password-hash", "$argon2", "", 0, r"\$argon2(?:id|i|d)\$[A-Za-z0-9=,$+/]{30,300}"),
    ("password-hash", "pbkdf2_sha", "", 0, r"pbkdf2_sha(?:1|256|512)\$[0-9]{1,9}\$[A-Za-z0-9]{1,40}\$[A-Za-z0-9+/=]{20,100}"),
    ("ethereum-key", "0x", "", 0, r"0x[0-9a-fA-F]{64}"),
)  # fmt: skip

# Names whose value is a credential whatever it looks like, provided that it is no reference, type or placeholder.
STRONG_WORDS = """
passw passwd password passphrase passcode pwd pswd pasw passwort kennwort contrasena contrase?a senha dbpass userpass rootpass
ftppass smtppass mailpass adminpass mypass _pass pass _pw pw psk

"""

# Names whose value is a credential if it looks at all like one.
LIKELY_WORDS = """
secret token apikey api_key api-key api.key access_key access-key accesskey privatekey private_key private-key
credential auth_key authkey auth-key signing_key signingkey encryption_key encryptionkey master_key masterkey
account_key accountkey storage_key shared_key sharedaccesskey sharedkey client_key license_key licensekey deploy_key
secretkey app_key appkey application_key session_key sessionkey admin_key service_key integration_key webhook_key
ingest_key publish_key user_key server_key hmac _auth _authtoken authtoken bearer jwt app_secret
"""

# Names whose value is a credential only if it looks drawn by a machine; among them vendors whose keys have no prefix.
WEAK_WORDS = """
key auth pat cred sid salt seed  cookie session sasl webhook connectionstring connection_string dsn license
licence cert otp totp  client_id clientid adafruit adobe airtable algolia alchemy alibaba aliyun amplitude
anthropic artifactory asana atlassian auth0 aws azure beamer bitbucket bittrex bitly box braintree bugsnag circleci
clearbit cloudant cloudflare cloudinary codecov cohere coinbase confluent contentful databricks datadog deepgram
deepseek discord docusign doppler droneci dropbox easypost elastic elevenlabs etsy etherscan eventbrite facebook
fastly figma finicity finnhub firebase flickr flutterwave foursquare freshbooks freshdesk gemini giphy gitter
gocardless grafana groq heroku honeycomb hubspot hunter ibm infura instagram intercom ipinfo ipstack jenkins jfrog
jira kraken kucoin launchdarkly linear linkedin linode lob loggly logz looker mailchimp mailgun mailjet mapbox
mapquest mattermost maxmind meraki messagebird mistral mixpanel moralis netlify newrelic new-relic new_relic npm nylas
nytimes octopus okta onelogin openai opsgenie optimizely pagerduty paypal paystack perplexity pinecone pinata plaid
plivo postmark privateai pubnub pusher pushover quicknode rapidapi razorpay recaptcha replicate rollbar salesforce
sauce segment sendbird sendgrid sendinblue sengrid sentry shippo shodan shopify slack snowflake snyk softlayer sonar
spotify square squarespace stability storyblok strava stripe sumo supabase tavily telegram tencent tiingo tomtom
travis trello twilio twitch twitter typeform unsplash uploadcare vercel virustotal vonage wakatime weatherapi webex
wistia wolfram woocommerce yandex yelp youtube zendesk zoho zoom bundle_ hmac iam_ _iam cos_ clou hvac voyage together
fireworks
"""
