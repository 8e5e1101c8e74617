# SPDX-License-Identifier: Apache-2.0
"""
The same questions to a real API server and to the scripted one of the unit tests, and what of the
answers must agree: status, kind and reason, the shape of lists, the order of events. A scripted
server that differs would prove nothing. Not compared, since no setting makes an idle server do it:
the 429 of one that has too much to do, and a compressed watch, which only a proxy makes.
"""
import base64
import contextlib
import gzip
import http.client
import json
import os
import ssl
import tempfile
import threading
import urllib.parse

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
MAPS = "/api/v1/namespaces/{namespace}/configmaps"
TIMEOUT_S = 20
LARGE = 200_000  # bytes; a real server compresses what has more than 128 KiB


class Asker:
    """Asks one server, as the administrator of a kubeconfig or as anybody over plain HTTP; or by a token, "" for none."""

    def __init__(self, host, port, namespace, config=None, token=None):
        self.host, self.port, self.namespace = host, port, namespace
        self.context = None
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        if config is not None:
            cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
            self.context = ssl.create_default_context(cadata=decoded(cluster["certificate-authority-data"]))
            if token is not None:
                return
            with tempfile.TemporaryDirectory() as folder:
                paths = []
                for name in ("client-certificate-data", "client-key-data"):
                    paths.append(os.path.join(folder, name))
                    with open(paths[-1], "w", encoding="utf-8") as file:
                        file.write(decoded(user[name]))
                self.context.load_cert_chain(*paths)

    def send(self, method, path, body=None, content_type="application/json"):
        if self.context is None:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        else:
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT_S, context=self.context)
        data = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": content_type}
        connection.request(method, path.format(namespace=self.namespace), data, self.headers | headers)
        return connection

    def ask(self, method, path, body=None, content_type="application/json"):
        with contextlib.closing(self.send(method, path, body, content_type)) as connection:
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def ask_compressed(self, path):
        """What it is compressed by, and the answer."""
        self.headers["Accept-Encoding"] = "gzip"
        with contextlib.closing(self.send("GET", path)) as connection:
            answer = connection.getresponse()
            encoding = answer.headers["Content-Encoding"]
            return encoding, answer.headers["Content-Type"], json.loads(gzip.decompress(answer.read()))

    def watch(self, query):
        """All events of a watch that the server ends itself, or that an ERROR ends."""
        with contextlib.closing(self.send("GET", MAPS + "?watch=true&" + query)) as connection:
            answer = connection.getresponse()
            if answer.status != 200:
                return answer.status, [json.loads(answer.read())]
            events = []
            for line in answer:
                events.append(json.loads(line))
                if events[-1]["type"] == "ERROR":
                    break
            return 200, events


def decoded(text):
    return base64.b64decode(text).decode()


def config_map(name, value, **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name} | metadata, "data": {"value": value}}


def outline(answer):
    status, body = answer
    if body.get("kind") == "Status":
        return status, body["status"], body.get("reason"), body.get("code")
    return status, body.get("kind"), body.get("data")


def refusal(asker, method, path, body=None):
    """All members but the text and its details, of which the client reads retryAfterSeconds alone."""
    with contextlib.closing(asker.send(method, path, body)) as connection:
        answer = connection.getresponse()
        status = json.loads(answer.read())
    return answer.status, answer.headers["Content-Type"], {
        name: value for name, value in status.items() if name not in ("message", "details")}


def forbidden(asker):
    """To somebody without the right."""
    return [refusal(asker, "GET", "/api/v1/namespaces/{namespace}/secrets"),
            refusal(asker, "POST", "/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "a"}}),
            refusal(asker, "GET", "/api/v1/namespaces/{namespace}/secrets?watch=true")]


def unauthorized(asker):
    """The whole answer: it has no details."""
    return [asker.ask("GET", MAPS), asker.ask("POST", MAPS, config_map("agree", "1")), asker.ask("GET", MAPS + "?watch=true")]


def eviction(asker):
    """Of a pod that a disruption budget protects."""
    return refusal(asker, "POST", "/api/v1/namespaces/{namespace}/pods/kept/eviction",
                   {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "kept"}})


def compressed(asker):
    """A large object, and a list of it."""
    asker.ask("POST", MAPS, config_map("large", "x" * LARGE))
    one = asker.ask_compressed(MAPS + "/large")
    many = asker.ask_compressed(MAPS + "?fieldSelector=metadata.name!%3Dkube-root-ca.crt")
    return [(*one[:2], len(one[2]["data"]["value"])), (*many[:2], [len(i["data"]["value"]) for i in many[2]["items"]])]


def writes(asker):
    """Each kind of write, and each conflict."""
    asked = []

    def ask(*arguments, **options):
        answer = asker.ask(*arguments, **options)
        asked.append((arguments[0], *outline(answer)))
        return answer[1]

    one = MAPS + "/agree"
    made = ask("POST", MAPS, config_map("agree", "1"))
    ask("POST", MAPS, config_map("agree", "1"))
    ask("GET", MAPS + "/missing")
    ask("PUT", MAPS + "/missing", config_map("missing", "1"))
    ask("PATCH", MAPS + "/missing", {"data": {"value": "2"}}, content_type=MERGE)
    ask("DELETE", MAPS + "/missing")
    old = made["metadata"]["resourceVersion"]
    ask("PUT", one, config_map("agree", "2", resourceVersion=old))
    ask("PUT", one, config_map("agree", "3", resourceVersion=old))
    ask("PUT", one, config_map("agree", "4"))
    ask("PATCH", one, {"metadata": {"resourceVersion": old}, "data": {"value": "5"}}, content_type=MERGE)
    ask("PATCH", one, {"data": {"value": "6", "other": "x"}}, content_type=MERGE)
    ask("PATCH", one, {"data": {"other": None}}, content_type=MERGE)
    ask("PATCH", MAPS + "/applied?fieldManager=a&force=true", config_map("applied", "1"), content_type=APPLY)
    ask("PATCH", MAPS + "/applied?fieldManager=a&force=true", config_map("applied", "2"), content_type=APPLY)
    ask("PATCH", MAPS + "/applied?force=true", config_map("applied", "2"), content_type=APPLY)
    now = ask("GET", one)["metadata"]
    ask("DELETE", one, {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}})
    ask("DELETE", one, {"preconditions": {"resourceVersion": old}})
    ask("DELETE", one, {"preconditions": {"uid": now["uid"], "resourceVersion": now["resourceVersion"]}})
    ask("GET", one)
    ask("DELETE", MAPS + "/applied")
    return asked


def outline_page(answer):
    status, body = answer
    metadata = body["metadata"]
    return (status, body["kind"], [item["metadata"]["name"] for item in body["items"]], bool(metadata.get("continue")),
            metadata.get("remainingItemCount"), all("kind" not in item for item in body["items"]) or "with kinds")


def pages(asker):
    """Five objects in pages of two; every page has the version of the first, whatever happens meanwhile."""
    for number in range(5):
        asker.ask("POST", MAPS, config_map(f"page-{number}", "x"))
    asked, token, versions = [], "", set()
    while True:
        query = "?limit=2&fieldSelector=metadata.name!%3Dkube-root-ca.crt"
        if token:
            query += "&continue=" + urllib.parse.quote(token)
        answer = asker.ask("GET", MAPS + query)
        asked.append(outline_page(answer)[:4])
        versions.add(answer[1]["metadata"]["resourceVersion"])
        token = answer[1]["metadata"].get("continue")
        if not token:
            break
        asker.ask("PATCH", MAPS + "/page-0", {"data": {"value": str(len(asked))}}, content_type=MERGE)
    for number in range(5):
        asker.ask("DELETE", MAPS + f"/page-{number}")
    return asked, len(versions)


def outline_events(answer):
    """Bookmarks come when the server likes, but for the one that ends an initial set."""
    status, events = answer
    if status != 200:
        return status, events[0].get("kind"), events[0].get("reason")
    found = []
    for event in events:
        metadata = event["object"].get("metadata", {})
        if event["type"] == "ERROR":
            found.append(("ERROR", event["object"]["kind"], event["object"]["code"], event["object"]["reason"]))
        elif event["type"] != "BOOKMARK":
            found.append((event["type"], metadata["name"], event["object"].get("data")))
        elif "k8s.io/initial-events-end" in metadata.get("annotations", {}):
            found.append(("BOOKMARK", metadata["annotations"], bool(metadata["resourceVersion"])))
    return status, found


def watches(asker):
    """A watch from a version, a streaming list, and the ways to ask wrongly."""
    version = asker.ask("GET", MAPS)[1]["metadata"]["resourceVersion"]
    filtered = "fieldSelector=metadata.name!%3Dkube-root-ca.crt&allowWatchBookmarks=true&"
    asker.ask("POST", MAPS, config_map("seen", "1"))
    asker.ask("PATCH", MAPS + "/seen", {"data": {"value": "2"}}, content_type=MERGE)
    later = threading.Timer(0.5, asker.ask, ("DELETE", MAPS + "/seen"))
    later.start()
    asked = [outline_events(asker.watch(filtered + f"resourceVersion={version}&timeoutSeconds=2"))]
    later.join()
    asker.ask("POST", MAPS, config_map("initial", "1"))
    streaming = filtered + "sendInitialEvents=true&timeoutSeconds=1"
    asked.append(outline_events(asker.watch(streaming + "&resourceVersionMatch=NotOlderThan")))
    asked.append(outline_events(asker.watch(streaming)))  # without resourceVersionMatch
    asker.ask("DELETE", MAPS + "/initial")
    return asked


def expired(asker):
    """A version that is not kept any more."""
    return outline_events(asker.watch("resourceVersion=1&timeoutSeconds=2"))
