"""Providers that sign the body alone, or the body and a header, with a MAC in one header."""

import gzip
import hmac

from signing import ACCEPTED, Form, Provider, Signature, Token, answered, refused

P, S = Provider, Signature
GITHUB = "sha256="


def ping(event, name="handshake"):
    """A signed POST that proves that the endpoint is there, and the same with a bad signature."""

    def cases(provider):
        yield provider.case(name, provider.signed(event), ACCEPTED)
        request = provider.auth.apply(provider.make(event), provider.all_params(), other=True)
        yield provider.case(f"{name}.refused", request, refused(provider.refused_status))

    return cases


def verify_token(reply_json=""):
    """WebSub as Meta and Strava use it: the challenge is echoed where the token is right."""

    def cases(provider):
        params = {**provider.all_params(), "verify_token": "choose me/+1"}

        def ask(name, query, expect):
            request = provider.make(b"")
            request.method, request.content_type, request.query = "GET", "", query
            request.headers = []
            return provider.case(name, request, expect, params)

        right = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=choose+me%2F%2B1"
        expect = answered(json={reply_json: "1158201444"}) if reply_json else answered(body="1158201444")
        yield ask("handshake", right, expect)
        yield ask("handshake.refused.token-wrong", right.replace("choose", "chosen"), refused(403))
        yield ask("handshake.refused.token-missing", "hub.mode=subscribe&hub.challenge=1158201444", refused(403))

    return cases


def get_challenge(name="challenge", headers=None, value="b2c1-Ax_77.9"):
    def cases(provider):
        request = provider.make(b"")
        request.method, request.content_type, request.headers = "GET", "", []
        request.set_query(name, value)
        yield provider.case("handshake", request, answered(body=value, **({"headers": headers} if headers else {})))

    return cases


def reachable(*methods):
    """A request without a marker that wants 200."""

    def cases(provider):
        for method in methods:
            request = provider.make(b"")
            request.method, request.content_type, request.headers = method, "", []
            yield provider.case(f"handshake.{method.lower()}", request, answered())

    return cases


def secret_arrives(status=200):
    """The signing secret comes in a header, which is echoed and kept."""

    def cases(provider):
        secret = provider.all_params()["secret"]
        request = provider.make({})
        request.set("x-hook-secret", secret)
        expect = answered(status, headers={"x-hook-secret": secret})
        yield provider.case("handshake", request, {**expect, "keep": secret}, {})

    return cases


def together(*parts):
    def cases(provider):
        for part in parts:
            yield from part(provider)

    return cases


def front_challenge(provider):
    value = "a9d1f0c2-front-challenge"
    request = provider.signed({"type": "sync", "authorization": {"id": "cmp_1"}, "payload": {}})
    expect = answered(body=value)
    yield provider.case("handshake", request.set("x-front-challenge", value), expect)


def two_signatures(join, name="two-signatures"):
    """While a secret is rotated the provider sends one signature for each secret."""

    def cases(provider):
        request = provider.signed()
        where = provider.auth.where.removeprefix("header:")
        good = request.header(where)
        bad = provider.auth.apply(provider.make(), provider.all_params(), other=True).header(where)
        request.set(where, join(bad, good))
        yield provider.case(f"event.{name}", request, provider.stored(request))
        request = request.copy()
        request.set(where, join(bad, bad))
        yield provider.case(f"refused.{name}-wrong", request, refused())

    return cases


def github_ping(provider):
    for found in ping({"zen": "Speak like a human.", "hook_id": 1, "repository": {"full_name": "towpath/demo"}})(provider):
        found["request"]["headers"] = [[n, "ping" if n == "x-github-event" else v] for n, v in found["request"]["headers"]]
        yield found


def github_form(provider):
    request = provider.make(Form([("payload", '{"zen":"Keep it logically awesome.","repository":{"full_name":"towpath/demo"}}')]))
    request = provider.auth.apply(request, provider.all_params())
    yield provider.case("event.form", request, {"outcome": "stored", "dedup": request.header("x-github-delivery")})


def gzipped(provider):
    """The signature is over the compressed bytes."""
    request = provider.make(gzip.compress(provider.make().body, mtime=0)).set("content-encoding", "gzip")
    yield provider.case("event.gzip", provider.auth.apply(request, provider.all_params()), {"outcome": "stored"})
    request = provider.auth.apply(provider.make(), provider.all_params()).set("content-encoding", "gzip")
    request.body = gzip.compress(request.body, mtime=0)
    yield provider.case("refused.gzip-signed-uncompressed", request, refused())


def linkedin_challenge(provider):
    params = provider.all_params()
    for name, value in (("handshake", "890e4665-4dfe-4ab1-b689-ed553bceeed0"), ("handshake.refused.forged", 'hmacsha256={"id":1}')):
        request = provider.make(b"")
        request.method, request.content_type, request.headers = "GET", "", []
        request.set_query("challengeCode", value)
        response = hmac.digest(params["secret"].encode(), value.encode(), "sha256").hex()
        expect = answered(json={"challengeCode": value, "challengeResponse": response})
        if name == "handshake":
            yield provider.case(name, request, expect)
        else:
            note = "The challenge is what an event would be signed as: an answer would be a forged signature."
            yield provider.case(name, request, refused(), note=note)


def smartcar_challenge(provider):
    params = provider.all_params()
    for name, value in (("handshake", "3a5c8f72-e6d9-4b1a-9f2e-8c7d6a5b4e3f"), ("handshake.refused.forged", '{"eventType":"X"}')):
        event = {"eventId": "e-verify", "eventType": "VERIFY", "data": {"challenge": value}, "meta": {"version": "4.0"}}
        request = provider.signed(event)
        response = hmac.digest(params["secret"].encode(), value.encode(), "sha256").hex()
        if name == "handshake":
            yield provider.case(name, request, answered(json={"challenge": response}))
            other = provider.auth.apply(provider.make(event), params, other=True)
            yield provider.case("handshake.refused.other-key", other, refused())
            yield provider.case("handshake.refused.signature-missing", provider.auth.strip(other.copy()), refused())
        else:
            note = "The challenge is what an event would be signed as: an answer would be a forged signature."
            yield provider.case(name, request, refused(), note=note)


def gusto_token(provider):
    token = provider.all_params()["secret"]
    request = provider.make({"verification_token": token, "webhook_subscription_uuid": "6b1d9f0e-0000-4000-8000-000000000001"})
    yield provider.case("handshake", request, {**answered(), "keep": token}, {})


def ramp_challenge(provider):
    request = provider.make({"challenge": "d1f2a3b4c5"})
    note = "The operator gives the challenge back by an API call."
    yield provider.case("handshake", request, answered(), note=note)


def woocommerce_ping(provider):
    request = provider.make(Form([("webhook_id", "17")]))
    request.headers = []
    yield provider.case("handshake", request, answered(), note="Unsigned.")


def websub(provider):
    request = provider.make(b"")
    request.method, request.content_type, request.headers = "GET", "", []
    request.query = "hub.mode=subscribe&hub.topic=https%3A%2F%2Fblog.example.com%2Ffeed&hub.challenge=c5e1-71&hub.lease_seconds=864000"
    yield provider.case("handshake", request, answered(body="c5e1-71"))
    for algorithm in ("sha1", "sha384", "sha512"):
        auth = S("x-hub-signature", algorithm=f"hmac-{algorithm}", prefix=f"{algorithm}=")
        yield provider.case(f"event.{algorithm}", provider.signed(auth=auth), {"outcome": "stored"})
        request = auth.apply(provider.make(), provider.all_params(), other=True)
        yield provider.case(f"refused.{algorithm}.other-key", request, refused())
    request = provider.signed()
    request.set("x-hub-signature", request.header("x-hub-signature").replace("sha256=", "sha512="))
    yield provider.case("refused.algorithm-changed", request, refused())


def box_secondary(provider):
    request = provider.signed()
    request.set("box-signature-secondary", request.header("box-signature-primary"))
    wrong = provider.auth.apply(provider.make(), provider.all_params(), other=True)
    request.set("box-signature-primary", wrong.header("box-signature-primary"))
    yield provider.case("event.second-signature", request, provider.stored(request))


def hookdeck_second(provider):
    request = provider.signed()
    request.set("x-hookdeck-signature-2", request.header("x-hookdeck-signature"))
    wrong = provider.auth.apply(provider.make(), provider.all_params(), other=True)
    request.set("x-hookdeck-signature", wrong.header("x-hookdeck-signature"))
    yield provider.case("event.second-signature", request, provider.stored(request))


META = {"ack": {"status": 200}, "batch": "/entry", "extra": verify_token()}

TABLE = [
    P("acuity", Form([("action", "appointment.scheduled"), ("id", "8812734"), ("calendarID", "55"), ("appointmentTypeID", "9")]),
      S("x-acuity-signature", encoding="base64"), order="form:id"),
    P("adyen-platform", {"type": "balancePlatform.transfer.updated", "environment": "test", "data": {"id": "38E1XJ", "status": "booked"}},
      S("hmacsignature", encoding="base64", key="hex"), order="/data/id"),
    P("aftership", {"event": "tracking_update", "event_id": "7c9e6679-0001", "ts": 1789999990,
                    "msg": {"tracking_number": "1Z999AA10123456784", "tag": "InTransit"}},
      S("aftership-hmac-sha256", encoding="base64"), dedup="/event_id", order="/msg/tracking_number"),
    P("agora", {"noticeId": "2000001428:4330:107", "productId": 1, "eventType": 101, "notifyMs": 1789999998000,
                "payload": {"channelName": "lobby-東京", "ts": 1789999998}},
      S("agora-signature-v2"), dedup="/noticeId", order="/payload/channelName", extra=ping({"noticeId": "test", "eventType": 0})),
    P("aiprise", {"verification_session_id": "vs_7711", "result": "APPROVED"}, S("x-hmac-signature"), order="/verification_session_id"),
    P("airtable", {"base": {"id": "app00000000000001"}, "webhook": {"id": "ach00000000000001"}, "timestamp": "2026-09-21T14:13:18.000Z"},
      S("x-airtable-content-mac", prefix="hmac-sha256=", key="base64"), order="/base/id", ack={"statuses": [200, 204], "body": ""}),
    P("alchemy", {"webhookId": "wh_octjglnywaupz6th", "id": "whevt_ogrc5v64myey69ux", "type": "ADDRESS_ACTIVITY",
                  "event": {"network": "ETH_MAINNET", "activity": []}},
      S("x-alchemy-signature"), dedup="/id", order="/event/network"),
    P("asana", {"events": [{"action": "changed", "resource": {"gid": "1201", "resource_type": "task"}, "user": {"gid": "77"}}]},
      S("x-hook-signature"), order="/events/0/resource/gid", batch="/events", extra=together(secret_arrives(), ping({"events": []}, "handshake.empty-batch"))),
    P("ashby", {"action": "applicationSubmit", "data": {"application": {"id": "3f6c", "status": "Active"}}},
      S("ashby-signature", prefix=GITHUB), order="/data/application/id", extra=ping({"action": "ping", "data": {}})),
    P("attentive", {"type": "sms.subscribed", "timestamp": 1789999997000, "subscriber": {"phone": "+15005550006"}},
      S("x-attentive-hmac-sha256"), order="/subscriber/phone"),
    P("attio", {"webhook_id": "w-1", "events": [{"event_type": "record.updated", "id": {"object_id": "o-1", "record_id": "r-1"}}]},
      S("attio-signature"), dedup="header:idempotency-key", order="/events/0/id/record_id", batch="/events"),
    P("bitbucket", {"repository": {"uuid": "{b1946ac9}", "full_name": "towpath/demo"}, "push": {"changes": []}},
      S("x-hub-signature", prefix=GITHUB), dedup="header:x-request-uuid", order="/repository/uuid", headers={"x-event-key": "repo:push"}),
    P("box", {"type": "webhook_event", "trigger": "FILE.UPLOADED", "source": {"id": "73835521473", "name": "Angebot für Müller.pdf"}},
      S("box-signature-primary", signed="{body}{timestamp}", time="box-delivery-timestamp", unit="iso-offset", encoding="base64",
        tolerance=600),
      dedup="header:box-delivery-id", order="/source/id", headers={"box-signature-version": "1", "box-signature-algorithm": "HmacSHA256"},
      extra=box_secondary),
    P("checkout-com", {"id": "evt_az5sblvku4ge3dwpztvyizgcau", "type": "payment_captured", "data": {"id": "pay_1", "amount": 6540}},
      S("cko-signature"), dedup="/id", order="/data/id", ack={"status": 200}),
    P("checkr", {"id": "507f1f77bcf86cd799439011", "object": "event", "type": "report.completed", "data": {"object": {"id": "rep_1"}}},
      S("x-checkr-signature"), dedup="/id", order="/data/object/id"),
    P("circleci", {"id": "3888f21b-eaa7-38e3-8f3d-75a63bba8895", "type": "workflow-completed", "project": {"id": "84996744"}},
      S("circleci-signature", prefix="v1="), dedup="/id", order="/project/id", extra=two_signatures(lambda bad, good: f"v2=00ff,{good}", "other-version")),
    P("clio", {"data": {"id": 152, "etag": '"e1"'}, "meta": {"event": "updated", "webhook_id": 9}}, S("x-hook-signature"),
      order="/data/id", extra=secret_arrives()),
    P("coinbase-commerce", {"id": 1, "event": {"id": "24934862-d980", "type": "charge:confirmed", "data": {"id": "f765421f", "code": "66BEOV2A"}}},
      S("x-cc-webhook-signature"), dedup="/event/id", order="/event/data/id", ack={"status": 200}),
    P("cursor", {"event": "statusChange", "id": "bc_abc123", "status": "FINISHED"}, S("x-webhook-signature", prefix=GITHUB),
      dedup="header:x-webhook-id", order="/id"),
    P("dropbox", {"list_folder": {"accounts": ["dbid:AAH4f99"]}, "delta": {"users": [12345678]}}, S("x-dropbox-signature"),
      order="/list_folder/accounts/0", batch="/list_folder/accounts",
      extra=get_challenge(headers={"x-content-type-options": "nosniff"})),
    P("dwolla", {"id": "cac95329-9fa5", "resourceId": "b4cf3d1f", "topic": "transfer_completed", "timestamp": "2026-09-21T14:13:18.000Z"},
      S("x-request-signature-sha-256"), dedup="/id", order="/resourceId"),
    P("easypost", {"id": "evt_d0000c1a9c6c4614949af6931ea9fac8", "object": "Event", "result": {"id": "trk_c8e0edb5"}},
      S("x-hmac-signature", prefix="hmac-sha256-hex="), dedup="/id", order="/result/id"),
    P("esa", {"kind": "post_create", "team": {"name": "docs"}, "post": {"number": 1253, "name": "日報/たいとる"}},
      S("x-esa-signature", prefix=GITHUB), dedup="header:x-esa-delivery", order="/post/number"),
    P("facebook", {"object": "page", "entry": [{"id": "P1", "time": 1790000000, "changes": [{"field": "feed"}]}]},
      S("x-hub-signature-256", prefix=GITHUB), order="/entry/0/id", **META),
    P("fireflies", {"event": "meeting.transcribed", "meeting_id": "ASxwZxCstx"}, S("x-hub-signature", prefix=GITHUB), order="/meeting_id"),
    P("gitea", {"ref": "refs/heads/main", "repository": {"id": 140, "full_name": "towpath/demo"}}, S("x-gitea-signature"),
      dedup="header:x-gitea-delivery", order="/repository/id", style="pretty", headers={"x-gitea-event": "push"}),
    P("github", {"action": "opened", "issue": {"number": 7, "title": "Ünïcode ✓"}, "repository": {"id": 1, "full_name": "towpath/demo"}},
      S("x-hub-signature-256", prefix=GITHUB), dedup="header:x-github-delivery", order="/repository/full_name",
      headers={"x-github-event": "issues"},
      extra=together(github_ping, github_form)),
    P("gocardless", {"events": [{"id": "EV123", "action": "confirmed", "resource_type": "payments", "links": {"payment": "PM123"}}]},
      S("webhook-signature"), dedup="/events/0/id", order="/events/0/links/payment", batch="/events"),
    P("grafana", {"receiver": "towpath", "status": "firing", "groupKey": "{}:{alertname=\"disk\"}",
                  "alerts": [{"status": "firing", "labels": {"alertname": "disk"}, "fingerprint": "f1"}]},
      S("x-grafana-alerting-signature"), order="/groupKey", batch="/alerts",
      others={"basic": Token("basic"), "bearer": Token("bearer"), "header": Token("x-grafana-token", chosen=True)}),
    P("greenhouse", {"action": "candidate_stage_change", "payload": {"application": {"id": 265293, "status": "active"}}},
      S("signature", prefix="sha256 "), dedup="header:greenhouse-event-id", order="/payload/application/id",
      extra=ping({"action": "ping", "payload": {}})),
    P("gusto", {"uuid": "d8a3", "event_type": "company.updated", "resource_uuid": "r-1", "entity_type": "Company", "entity_uuid": "e-1"},
      S("x-gusto-signature"), dedup="/uuid", order="/entity_uuid", extra=gusto_token),
    P("helpscout", {"id": 29160, "subject": "Grüße", "status": "active"}, S("x-helpscout-signature", algorithm="hmac-sha1", encoding="base64"),
      order="/id", headers={"x-helpscout-event": "convo.created"}),
    P("heroku", {"action": "update", "data": {"app": {"id": "f8ba6b43", "name": "towpath"}}, "webhook_metadata": {"event": {"id": "ab12"}}},
      S("heroku-webhook-hmac-sha256", encoding="base64"), dedup="/webhook_metadata/event/id", order="/data/app/id"),
    P("hibob", {"type": "employee.updated", "employee": {"id": "3332883884017713938"}},
      S("bob-signature", algorithm="hmac-sha512", encoding="base64"), order="/employee/id"),
    P("hookdeck", {"order": 12, "state": "paid"}, S("x-hookdeck-signature", encoding="base64"), dedup="header:x-hookdeck-eventid",
      extra=hookdeck_second),
    P("hubspot-v1", [{"eventId": 100, "subscriptionType": "contact.creation", "objectId": 123, "occurredAt": 1789999998000}],
      S("x-hubspot-signature", algorithm="sha256", signed="{secret}{body}"), order="/0/objectId", batch="",
      headers={"x-hubspot-signature-version": "v1"}),
    P("instagram", {"object": "instagram", "entry": [{"id": "1784", "time": 1790000000, "changes": [{"field": "comments"}]}]},
      S("x-hub-signature-256", prefix=GITHUB), order="/entry/0/id", **META),
    P("intercom", {"type": "notification_event", "id": "notif_1", "topic": "conversation.user.created", "data": {"item": {"id": "c9"}}},
      S("x-hub-signature", algorithm="hmac-sha1", prefix="sha1="), dedup="/id", order="/data/item/id", extra=reachable("HEAD")),
    P("invoiless", {"event": "invoice.paid", "data": {"id": "6291", "total": 120.5}}, S("invoiless-signature", encoding="base64", prefix=GITHUB),
      order="/data/id", ack={"status": 200}),
    P("klaviyo", {"data": [{"topic": "event:klaviyo.sent_sms", "external_id": "7f3",
                            "payload": {"data": {"type": "event", "id": "7f3", "relationships": {"profile": {"data": {
                                "type": "profile", "id": "01GDDKASAP8TKDDA2GRZDSVP4H"}}}}}}]},
      S("klaviyo-signature", signed="{body}{timestamp}", time="klaviyo-timestamp", unit="http", timed=False),
      dedup="/data/0/external_id", order="/data/0/payload/data/relationships/profile/data/id", batch="/data"),
    P("komoju", {"id": "evt_7", "type": "payment.captured", "data": {"id": "pay_東", "amount": 1000, "currency": "JPY"}},
      S("x-komoju-signature"), dedup="/id", order="/data/id", extra=ping({"id": "evt_ping", "type": "ping", "data": {}})),
    P("launchdarkly", {"_id": "6a1", "kind": "flag", "name": "dark mode", "target": {"_id": "f-1"}}, S("x-ld-signature"), dedup="/_id",
      order="/target/_id"),
    P("lemon-squeezy", {"meta": {"event_name": "order_created"}, "data": {"type": "orders", "id": "31"}}, S("x-signature"), order="/data/id",
      ack={"status": 200}, headers={"x-event-name": "order_created"}),
    P("line", {"destination": "Uxxx", "events": [{"type": "message", "webhookEventId": "01FZ74A0TDDPYRVKNK77XKC3ZR", "timestamp": 1789999998000,
                                                  "source": {"type": "user", "userId": "U4af4980629"},
                                                  "message": {"type": "text", "text": "こんにちは😀"}}]},
      S("x-line-signature", encoding="base64"), dedup="/events/0/webhookEventId", order="/events/0/source/userId", batch="/events",
      ack={"status": 200}, extra=ping({"destination": "Uxxx", "events": []})),
    P("line-works", {"type": "message", "source": {"userId": "u1", "channelId": "ch-7"}, "content": {"type": "text", "text": "了解"}},
      S("x-works-signature", encoding="base64"), order="/source/channelId"),
    P("linkedin", {"type": "ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS", "notificationId": 49830142, "action": "COMMENT"},
      S("x-li-signature", signed="hmacsha256={body}"), dedup="/notificationId", extra=linkedin_challenge),
    P("messenger", {"object": "page", "entry": [{"id": "P1", "time": 1790000000, "messaging": [{"sender": {"id": "psid-1"}}]}]},
      S("x-hub-signature-256", prefix=GITHUB), order="/entry/0/messaging/0/sender/id", **META),
    P("microsoft-teams-outgoing", {"type": "message", "id": "1485983408511", "text": "<at>bot</at> hi", "conversation": {"id": "19:253b@thread"}},
      S("authorization", encoding="base64", prefix="HMAC ", key="base64"), order="/conversation/id", ack={"status": 200}),
    P("mollie", {"resource": "event", "id": "event_GvJ8WHrp5isUdRub9CJyH", "type": "payment-link.paid", "entityId": "pl_qng5"},
      S("x-mollie-signature", prefix=GITHUB), dedup="/id", order="/entityId"),
    P("nmi", {"event_id": "e-1", "event_type": "transaction.sale.success", "event_body": {"transaction_id": "1"}},
      S("webhook-signature", shape="t={timestamp},s={signature}", signed="{timestamp}.{body}", timed=False), dedup="/event_id",
      others={"body": S("signature")}),
    P("nylas", {"specversion": "1.0", "type": "message.created", "id": "n-5", "data": {"object": {"id": "m-5", "grant_id": "g"}}},
      S("x-nylas-signature"), dedup="/id", order="/data/object/id", ack={"status": 200}, extra=together(get_challenge(), gzipped)),
    P("orb", {"id": "o4mmewpfNNTnjfZc", "type": "invoice.issued", "customer": {"id": "cus_1"}},
      S("x-orb-signature", prefix="v1=", signed="v1:{timestamp}:{body}", time="x-orb-timestamp", unit="iso", timed=False), dedup="/id",
      order="/customer/id"),
    P("pandadoc", [{"event": "document_state_changed", "data": {"id": "mNCGzHyGJG9yGkpvGCJ5D3", "status": "document.completed"}}],
      S("query:signature"), order="/0/data/id", batch=""),
    P("patreon", {"data": {"type": "member", "id": "03ca69c3-ebea"}}, S("x-patreon-signature", algorithm="hmac-md5"), order="/data/id",
      headers={"x-patreon-event": "members:create"}),
    P("paystack", {"event": "charge.success", "data": {"id": 302961, "reference": "qTPrJoy9Bx", "amount": 10000}},
      S("x-paystack-signature", algorithm="hmac-sha512"), order="/data/reference", ack={"status": 200}),
    P("pusher", {"time_ms": 1789999998000, "events": [{"name": "channel_occupied", "channel": "room-1"}]}, S("x-pusher-signature"),
      order="/events/0/channel", batch="/events", headers={"x-pusher-key": "278d525bdf162c739803"}),
    P("ramp", {"id": "w-1", "type": "transactions.cleared", "object": {"id": "t-1"}}, S("x-ramp-signature"), dedup="/id", order="/object/id",
      extra=ramp_challenge),
    P("razorpay", {"event": "payment.captured", "payload": {"payment": {"entity": {"id": "pay_DESlfW9H8K9uqM", "amount": 100}}}},
      S("x-razorpay-signature"), dedup="header:x-razorpay-event-id", order="/payload/payment/entity/id"),
    P("recharge-legacy", {"subscription": {"id": 10101, "status": "active"}}, S("x-recharge-hmac-sha256", algorithm="sha256", signed="{secret}{body}"),
      ack={"status": 200}),
    P("scrapfly", {"context": {"job": {"uuid": "16cb"}}, "result": {"status": "DONE", "url": "https://web.example.com/a"}},
      S("x-scrapfly-webhook-signature", encoding="HEX"), dedup="header:x-scrapfly-webhook-job-id", order="/context/job/uuid"),
    P("segment", {"type": "track", "messageId": "ajs-1", "userId": "u 1", "event": "Signed Up"}, S("x-signature", algorithm="hmac-sha1"),
      dedup="/messageId", order="/userId"),
    P("sentry", {"action": "created", "data": {"issue": {"id": "1170820242", "title": "TypeError: \"x\" is not a function"}}},
      S("sentry-hook-signature"), dedup="header:request-id", order="/data/issue/id", headers={"sentry-hook-resource": "issue"}),
    P("shopline", {"id": "21070", "name": "#D1001", "financial_status": "paid"}, S("x-shopline-hmac-sha256"),
      dedup="header:x-shopline-webhook-id", order="/id", headers={"x-shopline-topic": "orders/paid"}),
    P("smartcar", {"eventId": "ev-1", "eventType": "VEHICLE_STATE", "data": {"vehicle": {"id": "v-1"}, "signals": []}},
      S("sc-signature"), dedup="/eventId", order="/data/vehicle/id", extra=smartcar_challenge),
    P("snyk", {"project": {"id": "af137b96"}, "newIssues": [], "removedIssues": []}, S("x-hub-signature", prefix=GITHUB),
      dedup="header:x-snyk-transport-id", order="/project/id", headers={"x-snyk-event": "project_snapshot/v0"}),
    P("square", {"merchant_id": "6SSW7HV8K2ST5", "type": "payment.updated", "event_id": "6a8f5f28", "data": {"id": "hYy9pRFVxpDsO1FB"}},
      S("x-square-hmacsha256-signature", signed="{url}{body}", encoding="base64"), dedup="/event_id", order="/data/id"),
    P("tally", {"eventId": "a4cb511e", "eventType": "FORM_RESPONSE", "data": {"responseId": "2wgx4n", "fields": []}},
      S("tally-signature", encoding="base64"), dedup="/eventId", order="/data/responseId"),
    P("tenderly", {"id": "84b6", "event_type": "ALERT", "transaction": {"network": "1", "hash": "0x8f3c"}},
      S("x-tenderly-signature", signed="{body}{timestamp}", time="date", unit="iso", timed=False), dedup="/id", order="/transaction/hash"),
    P("trello", {"action": {"id": "51f9424bcd6e040f3c002412", "type": "updateCard"}, "model": {"id": "4d5ea62fd76aa1136000000c"}},
      S("x-trello-webhook", algorithm="hmac-sha1", encoding="base64", signed="{body}{url}"), dedup="/action/id", order="/model/id",
      ack={"status": 200}, extra=reachable("HEAD")),
    P("typeform", {"event_id": "LtWXD3crgy", "event_type": "form_response", "form_response": {"form_id": "lT4Z3j", "token": "a3a12ec6"}},
      S("typeform-signature", encoding="base64", prefix=GITHUB), dedup="/event_id", order="/form_response/token"),
    P("uber-eats", {"event_id": "c4d2261e", "event_type": "orders.notification", "meta": {"resource_id": "153dd7f1", "status": "pos"}},
      S("x-uber-signature"), dedup="/event_id", order="/meta/resource_id", ack={"status": 200, "body": ""}),
    P("vapi", {"message": {"type": "end-of-call-report", "call": {"id": "call-1"}}}, S("x-vapi-signature"), order="/message/call/id",
      others={"token": Token("x-vapi-secret")}),
    P("vercel", {"id": "evt-1", "type": "deployment.succeeded", "payload": {"deployment": {"id": "dpl_1", "name": "site"}}},
      S("x-vercel-signature", algorithm="hmac-sha1"), dedup="/id", order="/payload/deployment/id"),
    P("websub", "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><id>tag:1</id></entry></feed>\n",
      S("x-hub-signature", prefix=GITHUB), content_type="application/atom+xml", extra=websub),
    P("woocommerce", {"id": 727, "status": "processing", "total": "29.35"}, S("x-wc-webhook-signature", encoding="base64"),
      dedup="header:x-wc-webhook-delivery-id", order="/id", headers={"x-wc-webhook-topic": "order.created"}, extra=woocommerce_ping),
    P("xero", {"events": [{"resourceId": "717f2bfc", "eventCategory": "CONTACT", "eventType": "UPDATE", "tenantId": "t"}],
               "firstEventSequence": 1, "lastEventSequence": 1},
      S("x-xero-signature", encoding="base64"), order="/events/0/resourceId", batch="/events", ack={"status": 200, "body": ""},
      refused_status=401, extra=ping({"events": [], "firstEventSequence": 0, "lastEventSequence": 0})),
    P("zendesk", {"type": "zen:event-type:user.created", "id": "f-1", "detail": {"id": "6596848315901", "email": "fan@example.com"}},
      S("x-zendesk-webhook-signature", signed="{timestamp}{body}", time="x-zendesk-webhook-signature-timestamp", unit="iso", timed=False,
        encoding="base64"),
      dedup="header:x-zendesk-webhook-invocation-id", order="/detail/id"),
]  # fmt: skip
