"""Examples that providers print in their documents or SDKs: they anchor the signer to something that it did not make itself."""

import facts
from signing import Form, Request

SLACK = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA"
    b"&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J"
    b"%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
TWILIO = Form(
    [("Digits", "1234"), ("To", "+18005551212"), ("From", "+14158675309"), ("Caller", "+14158675309"), ("CallSid", "CA1234567890ABCDE")]
)


class Elsewhere(Request):
    """A request to the URL of the example."""

    url = "https://mycompany.com/myapp.php?foo=1&bar=2"


def github():
    """docs.github.com, Validating webhook deliveries."""
    request = Request(b"Hello, World!", "/").encode()
    found = row("github").auth.value(request, {"secret": "It's a Secret to Everybody"}, 0)
    return found, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def svix():
    """docs.svix.com, Verifying payloads manually."""
    request = Request(b'{"test": 2432232314}', "/").encode().set("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
    found = row("svix").auth.value(request, {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, 1614265330)
    return found, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def slack():
    """docs.slack.dev, Verifying requests from Slack."""
    request = Request(SLACK, "/").encode()
    found = row("slack-slash-commands").auth.value(request, {"secret": "8f742231b10e8888abcd99yyyzzz85a5"}, 1531420618)
    return found, "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def twilio():
    """twilio-python, the tests of its RequestValidator."""
    found = row("twilio").auth.value(Elsewhere(TWILIO, "/").encode(), {"secret": "12345"}, 0)
    return found, "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def adyen():
    """docs.adyen.com, Verify HMAC signatures; the row of Adyen has the example's item."""
    provider = row("adyen")
    request = provider.sign(provider.event, "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056")
    item = request.event["notificationItems"][0]["NotificationRequestItem"]
    return item["additionalData"]["hmacSignature"], "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="


def row(name):
    return next(provider for provider in facts.PROVIDERS if provider.name == name)


def differences():
    for example in (github, svix, slack, twilio, adyen):
        found, published = example()
        if found != published:
            yield f"{example.__name__}: signs {found}, but the document says {published} ({example.__doc__})"
