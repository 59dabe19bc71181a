"""Providers that send a secret as it is, and those that prove nothing but ask for an answer."""

from signing import ACCEPTED, NOW, Form, Provider, Token, answered, refused, served

from .macs import reachable, together, verify_token

P, T = Provider, Token
# "Of one's choice": the name of the header is the operator's, who tells both sides. This one stands for any.
CHOSEN = "x-webhook-token"


def adobe_client_id(provider):
    params = provider.all_params()
    for name, value in (("handshake", params["secret"]), ("handshake.refused", "another-client")):
        request = provider.make(b"")
        request.method, request.content_type, request.headers = "GET", "", []
        request.set("x-adobesign-clientid", value)
        expect = answered(headers={"x-adobesign-clientid": value}) if name == "handshake" else refused()
        yield provider.case(name, request, expect)


def cloudflare_test(provider):
    event = {"text": "Hello World! This is a test message sent from https://cloudflare.com."}
    yield provider.case("handshake", provider.signed(event), ACCEPTED)
    yield provider.case("handshake.refused", provider.auth.put(provider.make(event), "another"), refused())


def okta_challenge(provider):
    params = provider.all_params()
    request = provider.make(b"")
    request.method, request.content_type, request.headers = "GET", "", []
    request.set("x-okta-verification-challenge", "rA4bFvJ_9-x").set("authorization", params["secret"])
    yield provider.case("handshake", request, answered(json={"verification": "rA4bFvJ_9-x"}))


def ringcentral_token(provider):
    request = provider.make(b"")
    request.headers, request.content_type = [["validation-token", "6b7d-4c1e"]], ""
    yield provider.case("handshake", request, answered(headers={"validation-token": "6b7d-4c1e"}))


def sharepoint_token(provider):
    request = provider.make(b"")
    request.headers, request.content_type = [], "text/plain"
    request.set_query("validationtoken", "4c3b: OK?")
    yield provider.case("handshake", request, answered(body="4c3b: OK?"))


def body_challenge(provider):
    request = provider.make({"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"})
    yield provider.case("handshake", request, answered(json=request.event))


def grain_reach(provider):
    yield from reachable("GET", "HEAD")(provider)
    request = provider.make(b"")
    request.headers, request.content_type = [], ""
    yield provider.case("handshake.empty-post", request, answered())


def ipn_postback(provider):
    url = "https://ipnpb.paypal.com/cgi-bin/webscr"
    for name, answer in (("event", "VERIFIED"), ("refused.invalid", "INVALID")):
        request = provider.make()
        keys = [served(url, answer, "text/plain", "POST")]
        call = {"method": "POST", "url": url, "body": "cmd=_notify-validate&" + request.body.decode()}
        expect = {"outcome": "unsupported", "calls": [call]}
        note = "PayPal tells whether the message is its own when the whole body is posted back."
        yield provider.case(name, request, expect, keys=keys, note=note)


class PayPal(Provider):
    """Nothing in the request proves anything."""

    def cases(self):
        yield from ipn_postback(self)


def both_elements(provider):
    """One element with another token must spoil the batch."""
    request = provider.signed(provider.second())
    request.event["value"][1]["clientState"] = "another"
    yield provider.case("refused.one-item-wrong", request.encode(), refused())


def firehose_ack(request):
    return {"requestId": request.event["requestId"], "timestamp": NOW * 1000}


def recurly_json(provider):
    request = provider.auth.apply(provider.make({"object_type": "subscription", "uuid": "sub-1", "event_type": "created"}), provider.all_params())
    request.content_type = "application/json"
    yield provider.case("event.json", request, {"outcome": "stored"})


def other_method(method):
    def cases(provider):
        request = provider.signed()
        request.method = method
        yield provider.case(f"event.{method.lower()}", request, provider.stored(request))

    return cases


CHOICE = {"header": T(CHOSEN, chosen=True)}
SHAREPOINT_ITEM = {"subscriptionId": "91779246", "clientState": "", "resource": "b9f6f714-9df8-470b-b22e-653855e1c181", "siteUrl": "/sites/x"}

TABLE = [
    P("adobe-acrobat-sign", {"webhookNotificationId": "n-1", "event": "AGREEMENT_CREATED", "agreement": {"id": "CBJCHBCAABAA"}},
      T("x-adobesign-clientid"), dedup="/webhookNotificationId", order="/agreement/id",
      ack={"headers": {"x-adobesign-clientid": "{header:x-adobesign-clientid}"}}, extra=adobe_client_id),
    P("aircall", {"resource": "call", "event": "call.created", "timestamp": 1789999998, "token": "", "data": {"id": 123, "status": "ringing"}},
      T("/token"), order="/data/id"),
    P("alertmanager", {"version": "4", "groupKey": '{}:{alertname="InstanceDown"}', "status": "firing", "receiver": "towpath",
                       "alerts": [{"status": "firing", "labels": {"alertname": "InstanceDown"}, "fingerprint": "a1"}]},
      T("basic"), order="/groupKey", batch="/alerts", others={"bearer": T("bearer")}),
    P("aws-firehose-http", {"requestId": "ed4acda5-034f-9f42-bba1-f29aea6d7d8f", "timestamp": 1789999998000,
                            "records": [{"data": "eyJhIjoxfQ=="}]},
      T("x-amz-firehose-access-key"), dedup="header:x-amz-firehose-request-id", batch="/records",
      headers={"x-amz-firehose-request-id": "ed4acda5-034f-9f42-bba1-f29aea6d7d8f"},
      ack={"status": 200, "headers": {"content-type": "application/json"}, "json": firehose_ack}),
    P("azure-devops", {"notificationId": 3, "eventType": "workitem.updated", "resource": {"id": 2, "workItemId": 299}}, T("basic"),
      dedup="/notificationId", order="/resource/workItemId", others=CHOICE),
    P("braze-currents", {"events": [{"event_type": "users.messages.email.Open", "id": "e-1", "user": {"user_id": "u-1"}}]}, T("bearer"),
      order="/events/0/user/user_id", batch="/events"),
    P("chargebee", {"id": "ev_16BHbhF4s42tO2lK", "event_type": "subscription_created", "content": {"subscription": {"id": "16BHbhF4s42te2lJ"}}},
      T("basic"), dedup="/id", order="/content/subscription/id"),
    P("cloudflare-notifications", {"name": "Load balancing health", "text": "Pool is down", "policy_id": "9e3c", "ts": 1789999998},
      T("cf-webhook-auth"), order="/policy_id", extra=cloudflare_test),
    P("cloudprinter", {"apikey": "", "type": "CloudprinterOrderValidated", "order": "cp-1001", "datetime": "2026-09-21T14:13:18+00:00"},
      T("/apikey"), order="/order", ack={"statuses": [200, 204]}),
    P("datadog", {"id": "7001", "title": "[Triggered] CPU is high", "alert_type": "error"}, T(CHOSEN, chosen=True), order="/id"),
    P("deepgram", {"metadata": {"request_id": "c7b1ec0a", "channels": 1}, "results": {"channels": []}}, T("dg-token"),
      dedup="/metadata/request_id", order="/metadata/request_id", others={"basic": T("basic")}),
    P("documenso", {"event": "DOCUMENT_SIGNED", "payload": {"id": 10, "title": "Vertrag.pdf"}}, T("x-documenso-secret"), order="/payload/id"),
    P("ethoca", {"alertId": "ET-1", "type": "fraud", "amount": "12.00"}, T("basic"), ack={"status": 200}),
    P("flutterwave", {"event": "charge.completed", "data": {"id": 285959875, "tx_ref": "Links-1", "amount": 100}}, T("verif-hash"),
      order="/data/id", ack={"status": 200}),
    P("freee-accounting", {"id": "0001", "application_id": "1", "resource": "accounting:approval_request", "action": "created",
                           "approval_request": {"id": 7, "company_id": 1}},
      T("x-freee-token"), dedup="/id", order="/approval_request/id"),
    P("freee-hr", {"id": "0002", "application_id": "1", "resource": "hr:employee", "action": "updated", "employee": {"id": 9, "company_id": 1}},
      T("x-freee-token"), dedup="/id", order="/employee/id"),
    P("freshdesk", {"ticket_id": 19, "ticket_subject": "Überweisung", "ticket_status": "Open"}, T("basic"), order="/ticket_id", others=CHOICE,
      extra=other_method("PUT")),
    P("gitlab", {"object_kind": "push", "ref": "refs/heads/main", "project": {"id": 15, "name": "demo"}}, T("x-gitlab-token"),
      dedup="header:idempotency-key", order="/project/id", headers={"x-gitlab-event": "Push Hook"}),
    P("google-drive", b"", T("x-goog-channel-token"), dedup="header:x-goog-message-number", order="header:x-goog-resource-id", content_type="",
      headers={"x-goog-channel-id": "ch-1", "x-goog-message-number": "10", "x-goog-resource-id": "ret08u3rv24htgh289g",
               "x-goog-resource-state": "update"}),
    P("gorgias", {"ticket": {"id": 4711, "status": "open"}}, T(CHOSEN, chosen=True), order="/ticket/id"),
    P("grain", {"type": "recording_added", "data": {"id": "rec-1"}}, order="/data/id", extra=grain_reach),
    P("gumroad", Form([("sale_id", "FO8TXN-dvxYabdavG97Y-Q=="), ("product_name", "Guide & more"), ("price", "500")]),
      T("query:token", chosen=True), order="form:sale_id"),
    P("hasura", {"id": "85558393-c75d", "trigger": {"name": "t"}, "event": {"op": "INSERT", "data": {"old": None, "new": {"id": "42"}}}},
      T(CHOSEN, chosen=True), dedup="/id", order="/event/data/new/id"),
    P("huggingface", {"event": {"action": "update", "scope": "repo.content"}, "repo": {"id": "621ffdc0", "name": "towpath/demo"}},
      T("x-webhook-secret"), order="/repo/id"),
    P("kustomer", {"id": "k-1", "type": "event", "data": {"id": "c-1", "type": "customer"}}, T(CHOSEN, chosen=True), dedup="/id", order="/data/id"),
    P("mailchimp", Form([("type", "subscribe"), ("data[id]", "8a25ff1d98"), ("data[email]", "api@example.com")]), T("query:token", chosen=True),
      order="form:data[id]", ack={"status": 200}, extra=reachable("GET")),
    P("mailjet", [{"event": "sent", "time": 1789999998, "MessageID": 19421777835146490, "email": "api@example.com"}], T("basic"),
      order="/0/MessageID", batch=""),
    P("meraki", {"version": "0.1", "sharedSecret": "", "alertId": "643451796765672516", "deviceSerial": "Q234-ABCD-5678", "alertType": "Motion"},
      T("/sharedSecret"), dedup="/alertId", order="/deviceSerial"),
    P("miro", {"appId": "a", "webhookId": "w", "event": {"boardId": "o9J_kzlUDmo=", "type": "update", "item": {"id": "3"}}},
      order="/event/boardId", extra=body_challenge),
    P("misskey", {"hookId": "hook1", "userId": "u", "eventId": "e", "type": "note", "body": {"note": {"text": "おはよう"}}},
      T("x-misskey-hook-secret"), dedup="/eventId"),
    P("newrelic", {"issueId": "MXxB", "title": "High CPU", "state": "ACTIVATED"}, T("basic"), order="/issueId",
      others={"bearer": T("bearer"), **CHOICE}),
    P("okta", {"eventType": "com.okta.event_hook", "eventId": "b5a188b9", "data": {"events": [{"uuid": "u-1", "target": [{"id": "00u1"}]}]}},
      T("authorization"), dedup="/eventId", order="/data/events/0/target/0/id", batch="/data/events", ack={"statuses": [200, 204]},
      extra=okta_challenge),
    P("payjp", {"id": "evnt_54db4d63c7886256acdbc784ccf", "type": "charge.succeeded", "data": {"id": "ch_1", "amount": 1000}},
      T("x-payjp-webhook-token"), dedup="/id", order="/data/id"),
    PayPal("paypal-ipn", Form([("payment_status", "Completed"), ("txn_id", "61E67681CH3238416"), ("ipn_track_id", "d6f2"), ("mc_gross", "19.95"),
                               ("charset", "windows-1252")]),
           dedup="form:ipn_track_id", order="form:txn_id"),
    P("pipedrive", {"meta": {"action": "change", "entity": "deal", "correlation_id": "c-1", "version": "2.0"}, "data": {"id": 7, "title": "Deal"}},
      T("basic"), dedup="/meta/correlation_id", order="/data/id"),
    P("recurly", '<?xml version="1.0" encoding="UTF-8"?>\n<new_subscription_notification><account><account_code>1</account_code></account>'
                 "<subscription><uuid>8047cb4fd5f874b14d713d785436ebd3</uuid><state>active</state></subscription>"
                 "</new_subscription_notification>\n",
      T("basic"), content_type="application/xml", order="xml:/new_subscription_notification/subscription/uuid", extra=recurly_json),
    P("revenuecat", {"api_version": "1.0", "event": {"id": "12345678", "type": "RENEWAL", "app_user_id": "1234567890"}}, T("authorization"),
      dedup="/event/id", order="/event/app_user_id", ack={"status": 200}),
    P("ringcentral", {"uuid": "1ec0", "event": "/restapi/v1.0/account/1/extension/2/presence", "subscriptionId": "s-1", "body": {}},
      T("verification-token"), dedup="/uuid", order="/subscriptionId", extra=ringcentral_token),
    P("rudderstack", {"messageId": "m-1", "userId": "u-1", "type": "track", "event": "Order Completed"}, T(CHOSEN, chosen=True),
      dedup="/messageId", order="/userId"),
    P("sharepoint", {"value": [SHAREPOINT_ITEM]}, T("/clientState", each="/value"), order="/value/0/resource", batch="/value",
      extra=together(sharepoint_token, both_elements)),
    P("smarthr", {"event": "crew_updated", "crew": {"id": "c-1", "last_name": "須磨"}}, T("x-smarthr-token"), order="/crew/id"),
    P("strava", {"object_type": "activity", "object_id": 1360128428, "aspect_type": "create", "owner_id": 134815}, order="/object_id",
      ack={"status": 200}, extra=verify_token("hub.challenge")),
    P("supabase", {"type": "INSERT", "table": "orders", "schema": "public", "record": {"id": 5}, "old_record": None}, T(CHOSEN, chosen=True),
      order="/record/id"),
    P("xendit", {"id": "inv_1", "event": "payment.succeeded", "data": {"id": "py-1", "amount": 5000}}, T("x-callback-token"),
      dedup="header:webhook-id", order="/data/id"),
    P("zapier-webhooks", {"id": "z-1", "name": "Ada"}, T("basic"), others=CHOICE, extra=other_method("PUT")),
    P("zoho-crm", {"module": "Leads", "operation": "insert", "token": "", "ids": ["111107000000014022"]}, T("/token"), order="/ids/0"),
]  # fmt: skip
