"""Requests as HTTP APIs, REST APIs and function URLs pass them to a function, with what each of them changes on the way.

Sources:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
That HTTP APIs decode the path and the others do not: https://github.com/middleapi/standard-server/pull/93
"""

import base64
from urllib.parse import parse_qsl, unquote

# The content types whose bodies API Gateway passes as text.
TEXT = ("text/", "application/json", "application/xml", "application/javascript")


def _split(url):
    path, _, query = url.partition("?")
    return path, query


def _pairs(headers):
    return list(headers.items()) if isinstance(headers, dict) else list(headers)


def _grouped(pairs):
    grouped = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _body(headers, body):
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    try:
        if kind.startswith(TEXT):
            return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def http_api(method, url, headers=(), body=b"", stage="$default", domain="a.execute-api.eu-west-1.amazonaws.com"):
    """Payload version 2.0 of an HTTP API: the path is decoded, a named stage is part of it, duplicate headers are joined."""
    path, query = _split(url)
    path = unquote(path) if stage == "$default" else f"/{stage}{unquote(path)}"
    return _version_2(method, path, query, _pairs(headers), body, stage, domain)


def function_url(method, url, headers=(), body=b""):
    """Payload version 2.0 of a function URL: the same, but the path stays as it came."""
    path, query = _split(url)
    return _version_2(method, path, query, _pairs(headers), body, "$default", "u.lambda-url.eu-west-1.on.aws")


def _version_2(method, path, query, headers, body, stage, domain):
    lower = [(name.lower(), value) for name, value in headers]
    cookies = [part.strip() for name, value in lower if name == "cookie" for part in value.split(";")]
    joined = {name: ",".join(values) for name, values in _grouped(lower).items() if name != "cookie"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        **({"cookies": cookies} if cookies else {}),
        "headers": joined,
        "requestContext": {
            "accountId": "123456789012", "apiId": "a", "domainName": domain, "domainPrefix": "a",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"},
            "requestId": "r", "routeKey": "$default", "stage": stage,
            "time": "25/Nov/2026:12:00:00 +0000", "timeEpoch": 1795608000000,
        },
        **_body(headers, body),
    }


def rest_api(method, url, headers=(), body=b""):
    """Payload version 1.0 of a REST API: duplicate headers stay apart, parameters are decoded and in no order."""
    path, query = _split(url)
    headers = _pairs(headers)
    parameters = _grouped(parse_qsl(query, keep_blank_values=True))
    many = _grouped(headers)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in many.items()} or None,
        "multiValueHeaders": many or None,
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()} or None,
        "multiValueQueryStringParameters": parameters or None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012", "apiId": "r", "domainName": "r.execute-api.eu-west-1.amazonaws.com",
            "httpMethod": method, "path": f"/prod{path}", "protocol": "HTTP/1.1", "requestId": "r", "stage": "prod",
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "x", "accessKey": None},
        },
        **_body(headers, body),
    }


def named_stage(method, url, headers=(), body=b""):
    """An HTTP API whose stage has a name."""
    return http_api(method, url, headers, body, stage="prod")


FRONT_ENDS = {"http_api": http_api, "named_stage": named_stage, "rest_api": rest_api, "function_url": function_url}
