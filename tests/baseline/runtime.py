"""What Lambda's own Python runtime does for a handler, and no more: next, handle, response. One kept connection, no logs.

Source: "Using the Lambda runtime API for custom runtimes" in the developer guide of AWS Lambda.
"""

import http.client
import json
import os

from forwarder import lambda_handler

INVOCATION = "/2018-06-01/runtime/invocation"


def main():
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        api.request("GET", f"{INVOCATION}/next")
        event = api.getresponse()
        request_id, body = event.headers["Lambda-Runtime-Aws-Request-Id"], event.read()
        try:
            path, answer = "response", lambda_handler(json.loads(body), None)
        except Exception as error:
            path, answer = "error", {"errorMessage": str(error), "errorType": type(error).__name__}
        api.request("POST", f"{INVOCATION}/{request_id}/{path}", json.dumps(answer))
        api.getresponse().read()


main()
