"""Shopify's order events become orders in SSS.

Format: Shopify's webhook topics orders/create, orders/paid and orders/cancelled; the topic is a header.
"""

from towpath import body_json, deliver, guarded, header, reject, request, settings, skip, what
from wit_world import exports
from wit_world.exports.metadata import Description, Problem
from wit_world.imports import log
from wit_world.imports.types import Message

STATES = {"orders/create": "new", "orders/paid": "paid", "orders/cancelled": "cancelled"}


class Transform(exports.Transform):
    @guarded
    def transform(self, message: Message):
        topic = header(message, "x-shopify-topic")
        if topic not in STATES:
            return skip("not-for-sss", f"nothing is done for {topic!r}")
        try:
            order = body_json(message)
            number = order["id"]
            body = {
                "state": STATES[topic],
                "name": str(order["name"]),
                "total": {"value": str(order["total_price"]), "currency": str(order["currency"])},
                "lines": [{"sku": line["sku"], "count": int(line["quantity"])} for line in order["line_items"]],
                "placed_at": str(order["created_at"]),
            }
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            return reject("malformed", what(error))
        if not isinstance(number, int):
            return reject("bad-id", "the order's id is no number")
        shop = settings().get("shop")
        if shop:
            body["shop"] = shop
        log.write(log.Level.DEBUG, "order mapped", [("state", STATES[topic])])
        return deliver(request("PUT", "sss", f"/orders/shopify-{number}", body))


class Metadata(exports.Metadata):
    def describe(self):
        return Description("python-shopify", "1.0.0", "Shopify orders to SSS", ["sss"], [])

    def check_config(self):
        unknown = [key for key in settings() if key != "shop"]
        return [Problem(f"/{key}", "this key is not known: there is only shop") for key in unknown]
