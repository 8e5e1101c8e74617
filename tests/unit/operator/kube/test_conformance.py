# SPDX-License-Identifier: Apache-2.0
"""
The conformance list of the watch client, one test a line, over real sockets: the client as a process
against a scripted API server. Each passes when the store equals the server's, with at most one list
per 410. Times are injected, so that eleven minutes of silence are one second.
"""
import copy
import json
import os
import random
import ssl
import subprocess
import time
import unittest

import api_server
from api_server import ApiServer, Request, line_of
from kube_tool import Tool, temporary_folder, write_kubeconfig

QUICK = {"backoff_first_ms": 50, "backoff_max_ms": 400, "healthy_ms": 500}
DAY_EVENTS = 1_000_000
FLAT_BYTES = 8 << 20


class Case(unittest.TestCase):
    def setUp(self):
        self.server = ApiServer()
        self.addCleanup(self.server.close)
        self.folder = temporary_folder(self)

    def tool(self, **opening):
        config = write_kubeconfig(self.folder, self.server.port)
        tool = Tool(**({"kubeconfig": config} | opening))
        self.addCleanup(tool.end)
        return tool

    def fill(self, count=3):
        for number in range(count):
            self.server.put_map(f"m{number}", "x")

    def watching(self, count=3, **options):
        """A tool that watches ConfigMaps, of which there are a few."""
        self.fill(count)
        tool = self.tool()
        tool.watch(**({"times": QUICK, "no_streaming": True} | options))
        tool.wait_store(self.server.versions)
        self.wait_watched()
        return tool

    def wait_for(self, condition, what, seconds=15):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"never: {what}")
            time.sleep(0.01)

    def wait_watched(self, count=1):
        self.wait_for(lambda: len(self.server.live_watchers()) >= count, "a watch")

    def follows(self, tool, **members):
        """The store equals the server's now, and follows the next change."""
        tool.wait_store(self.server.versions)
        self.server.put_map("later", "y")
        found = tool.wait_store(self.server.versions)
        for name, value in members.items():
            self.assertEqual(found[name], value, found)
        return found

    def asked(self, matches):
        return [r for r in self.server.requests if matches(r)]


class Expired(Case):
    def test_01_410_on_list(self):
        self.fill()
        self.server.refuse(Request.is_list, 410)
        tool = self.tool()
        tool.watch(times=QUICK, no_streaming=True)
        self.follows(tool, lists=2, expiries=1)

    def test_02_410_at_watch_connect(self):
        tool = self.watching()
        self.server.refuse(Request.is_plain_watch, 410)
        self.server.drop_watches()
        self.server.put_map("new", "x")
        self.follows(tool, lists=2, expiries=1)

    def test_03_410_as_error_event(self):
        tool = self.watching()
        self.server.send_error(410)
        self.server.put_map("new", "x")
        self.follows(tool, lists=2, expiries=1)

    def test_04_410_on_continue(self):
        self.fill(7)
        self.server.refuse(Request.is_continued, 410)
        tool = self.tool()
        tool.watch(times=QUICK, no_streaming=True, page_items=2)
        self.follows(tool, lists=2, expiries=1)

    def test_05_expired_bookmark(self):
        tool = self.watching()
        version = self.server.bookmark()
        self.wait_for(lambda: tool.dump()["version"] == version, "the bookmark")
        self.server.on(Request.is_plain_watch, self.compact_first)
        self.server.drop_watches()
        self.follows(tool, lists=2, expiries=1)
        self.assertEqual(self.asked(Request.is_plain_watch)[1].query["resourceVersion"], version)

    def compact_first(self, connection, request):
        self.server.put_map("meanwhile", "x")
        self.server.compact()
        self.server.handle(connection, request)

    def test_32_relists_do_not_spam(self):
        tool = self.watching(times={"backoff_first_ms": 200, "backoff_max_ms": 1000, "healthy_ms": 60000})
        self.server.refuse(Request.is_plain_watch, 410, times=1000)
        self.server.drop_watches()
        time.sleep(3)
        self.assertLessEqual(len(self.asked(Request.is_list)), 7)
        with self.server.condition:
            self.server.rules.clear()
        self.follows(tool)


class Cut(Case):
    def cut(self, tool, part):
        """A watch that breaks off in the middle of an event: the event comes again, once."""
        self.server.put_map("before", "x")
        tool.wait_store(self.server.versions)
        watcher = self.server.live_watchers()[0]
        watcher.dead = True
        obj = self.server.put_map("cut", "\u20ac\u20ac\u20ac")
        part(watcher.connection, line_of("ADDED", obj))
        watcher.connection.reset()
        self.follows(tool, lists=1)
        self.assertEqual(tool.changes("n/cut"), ["ADDED"])
        self.assertEqual(tool.changes("n/before"), ["ADDED"])

    def test_06_cut_mid_object(self):
        self.cut(self.watching(), lambda connection, line: connection.write(line[:len(line) // 2]))

    def test_07_cut_mid_utf8(self):
        self.cut(self.watching(), lambda connection, line: connection.write(line[:line.index(b"\xe2\x82") + 2]))

    def test_08_cut_mid_chunk(self):
        self.cut(self.watching(), lambda connection, line: connection.raw(b"fff\r\n" + line[:50]))

    def test_08_cut_by_reset(self):
        tool = self.watching()
        watcher = self.server.live_watchers()[0]
        watcher.dead = True
        watcher.connection.abort()
        self.follows(tool, lists=1)

    def test_09_silent_eleven_minutes(self):
        tool = self.watching(times=QUICK | {"idle_ms": 1000})
        self.server.silence()
        self.server.put_map("unheard", "x")
        found = self.follows(tool, lists=1)
        self.assertGreaterEqual(found["silences"], 1)

    def test_09_silent_list(self):
        self.fill()
        self.server.on(Request.is_list, lambda connection, request: time.sleep(5))
        tool = self.tool()
        tool.watch(times=QUICK | {"list_idle_ms": 500}, no_streaming=True)
        self.follows(tool)

    def test_09_watch_that_never_ends(self):
        tool = self.watching(times=QUICK | {"watch_ms": 1000, "watch_grace_ms": 300})
        watcher = self.server.live_watchers()[0]
        deadline = time.monotonic() + 4
        watcher.dead = True  # from now on it only sends bookmarks of the same version
        while len(self.asked(Request.is_plain_watch)) < 2:
            self.assertLess(time.monotonic(), deadline)
            try:
                watcher.connection.write(self.server.bookmark_line(self.server.version))
            except OSError:
                pass
            time.sleep(0.05)
        self.follows(tool, lists=1, failures=0)

    def test_10_bookmarks_only(self):
        tool = self.watching()
        for _ in range(50):
            version = self.server.bookmark()
        self.wait_for(lambda: tool.dump()["version"] == version, "the last bookmark")
        self.server.drop_watches()
        self.wait_watched()
        self.assertEqual(self.server.live_watchers()[0].request.query["resourceVersion"], version)
        self.follows(tool, lists=1, bookmarks=50)

    def test_20_clock_jump(self):
        """To the process, being stopped is a jump of the clock."""
        tool = self.watching(times=QUICK | {"idle_ms": 500})
        tool.stop()
        self.server.put_map("slept", "x")
        time.sleep(1.5)
        tool.go_on()
        self.follows(tool, lists=1)


class Refused(Case):
    def test_11_429_with_retry_after(self):
        self.fill()
        self.server.refuse(Request.is_list, 429, headers={"Retry-After": "1"})
        tool = self.tool()
        tool.watch(times=QUICK, no_streaming=True)
        first, second = self.asked(Request.is_list)[:2]
        self.assertGreaterEqual(second.time - first.time, 1)
        self.assertLess(second.time - first.time, 3)
        self.follows(tool)

    def test_11_429_to_a_request(self):
        self.server.refuse(lambda r: r.method == "POST", 429, retry_after=1, times=2)
        answer = self.tool().request("create", "v1/configmaps", namespace="n",
                                     body={"metadata": {"name": "a"}, "data": {"value": "1"}})
        self.assertEqual(answer["http"], 201)
        times = [r.time for r in self.server.requests]
        self.assertGreaterEqual(times[1] - times[0], 1)
        self.assertGreaterEqual(times[2] - times[1], 1)

    def test_13_403_for_one_resource_only(self):
        self.fill()
        self.server.refuse(lambda r: r.plural == "secrets", 403, times=1000)
        tool = self.tool()
        tool.watch(times=QUICK, no_streaming=True)
        tool.watch("s", "v1/secrets", synced=False, times=QUICK, no_streaming=True)
        tool.wait("TROUBLE", id="s", code="denied")
        tool.wait("TROUBLE", id="s", code="denied")
        self.follows(tool, lists=1, failures=0)
        self.assertFalse(tool.dump("s")["synced"])

    def test_14_storm_of_500s(self):
        tool = self.watching(times={"backoff_first_ms": 100, "backoff_max_ms": 10000, "healthy_ms": 60000})
        self.server.refuse(Request.is_plain_watch, 500, times=5)
        self.server.drop_watches()
        self.wait_for(lambda: len(self.asked(Request.is_plain_watch)) == 7, "the storm is over")
        times = [r.time for r in self.asked(Request.is_plain_watch)][1:]
        gaps = [b - a for a, b in zip(times, times[1:])]
        for number, gap in enumerate(gaps):
            self.assertGreaterEqual(gap, 0.1 * 2 ** (number + 1), gaps)
        self.follows(tool, lists=1)

    def test_our_own_rate_limit(self):
        """A burst at once, then as many a second as we allow ourselves; leases pass by."""
        tool = self.tool(rate_per_s=20, burst=5)
        for number in range(30):
            tool.do("request", id=f"r{number}", verb="get", resource="v1/configmaps", namespace="n", name="a")
        tool.do("elect", namespace="n", name="lead", identity="one")
        tool.wait("LEADING")
        before = len(self.asked(lambda r: r.plural == "configmaps"))
        for _ in range(30 - sum(e["event"] == "ANSWER" for e in tool.seen)):
            tool.wait("ANSWER")
        times = [r.time for r in self.asked(lambda r: r.plural == "configmaps")]
        self.assertLess(before, 30)
        self.assertGreaterEqual(times[-1] - times[0], 25 / 20 * 0.9)

    def test_requests_are_counted(self):
        tool = self.tool()
        tool.request("get", "v1/configmaps", namespace="n", name="a")
        tool.request("create", "v1/configmaps", namespace="n", body={"metadata": {"name": "a"}})
        self.server.on(lambda r: r.method == "GET", lambda connection, request: connection.reset() or False, times=5)
        tool.request("get", "v1/configmaps", namespace="n", name="a")
        text = tool.ask("metrics", "METRICS")["text"]
        host = f'host="127.0.0.1:{self.server.port}"'
        for code, method in (("404", "GET"), ("201", "POST"), ("<error>", "GET")):
            self.assertIn(f'rest_client_requests_total{{code="{code}",method="{method}",{host}}} 1\n', text)

    def test_31_connection_limit_reached(self):
        self.fill()
        tool = self.tool()
        self.server.connection_limit = 1
        tool.watch(times=QUICK)
        self.wait_watched()
        tool.watch("late", synced=False, times=QUICK)
        tool.wait("TROUBLE", id="late")
        tool.wait("TROUBLE", id="late")
        self.server.connection_limit = 3
        tool.wait("SYNCED", id="late")
        self.follows(tool)
        tool.wait_store(self.server.versions, "late")


class Contents(Case):
    def test_15_duplicate_added(self):
        tool = self.watching()
        obj = self.server.put_map("twice", "x")
        tool.wait_store(self.server.versions)
        self.server.to_watchers(lambda c: c.write(line_of("ADDED", obj)))
        self.follows(tool, lists=1)
        self.assertEqual(tool.changes("n/twice"), ["ADDED"])

    def test_16_deleted_unseen(self):
        tool = self.watching()
        with self.server.condition:
            self.server.drop_watches()
            self.server.delete_map("m1")
            self.server.compact()
        gone = tool.wait("DELETED", key="n/m1")
        self.assertTrue(gone["unseen"])
        self.assertEqual(gone["value"], "x")
        self.follows(tool, lists=2, expiries=1)

    def test_16_deleted_and_made_again_unseen(self):
        tool = self.watching()
        with self.server.condition:
            self.server.drop_watches()
            self.server.delete_map("m1")
            self.server.put_map("m1", "new")
            self.server.compact()
        tool.wait("DELETED", key="n/m1")
        tool.wait("ADDED", key="n/m1", value="new")
        self.follows(tool, lists=2)

    def test_17_list_out_of_version_order(self):
        self.server.shuffled = True
        tool = self.watching(count=9, page_items=2)
        watch = self.asked(Request.is_plain_watch)[0]
        self.assertEqual(watch.query["resourceVersion"], str(self.server.version))
        self.follows(tool, lists=1)

    def test_18_object_of_1_4_mb(self):
        self.server.put_map("big", "b" * 1_400_000)
        tool = self.watching(no_streaming=False)
        self.server.put_map("big", "c" * 1_400_000)
        self.follows(tool, lists=1)
        self.server.send_error(410)
        self.follows(tool, lists=2)

    def test_19_20000_objects(self):
        for number in range(20_000):
            self.server.put_map(f"m{number:05}", "x")
        tool = self.tool()
        for name, no_streaming in (("pages", True), ("stream", False)):
            tool.watch(name, quiet=True, no_streaming=no_streaming)
            found = tool.wait_store(self.server.versions, name)
            self.assertEqual((found["changes"], found["lists"]), (20_000, 1))
        self.assertEqual(len(self.asked(Request.is_list)), 40)

    def test_25_object_without_our_field(self):
        tool = self.watching()
        with self.server.condition:
            self.server.create("configmaps", {"metadata": {"name": "older"}, "future": [{"x": 1}]}, "n")
        self.assertEqual(tool.wait("ADDED", key="n/older")["value"], "")
        self.follows(tool)

    def test_26_namespace_deleted_under_us(self):
        tool = self.watching(namespace="n")
        with self.server.condition:
            self.server.terminating.add("n")
            for number in range(3):
                self.server.delete_map(f"m{number}")
        tool.wait_store(dict)
        refused = tool.request("create", "v1/configmaps", namespace="n", body={"metadata": {"name": "a"}})
        self.assertEqual((refused["http"], refused["code"]), (403, "denied"))
        self.server.terminating.clear()
        self.follows(tool, lists=1)

    def test_33_a_day_of_events(self):
        """10^6 events: the store follows, the memory does not grow."""
        tool = self.watching(count=100, quiet=True)
        watcher = self.server.live_watchers()[0]
        watcher.dead = True  # its stream is written from here
        uids = [self.server.objects["configmaps", "n", f"m{n}"]["metadata"]["uid"] for n in range(100)]
        version = self.server.version
        sizes = []
        for _ in range(10):
            lines = []
            for _ in range(DAY_EVENTS // 10):
                version += 1
                n = version % 100
                lines.append(f'{{"type":"MODIFIED","object":{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{'
                             f'"name":"m{n}","namespace":"n","uid":"{uids[n]}","resourceVersion":"{version}",'
                             f'"managedFields":[{{"manager":"x","fieldsV1":{{"f:data":{{}}}}}}]}},'
                             f'"data":{{"value":"v{version}"}}}}}}\n')
            watcher.connection.write("".join(lines).encode())
            self.wait_for(lambda: tool.dump()["version"] == str(version), "all events", 120)
            sizes.append(tool.dump()["resident_bytes"])
        found = tool.dump()
        self.assertEqual(found["events"], DAY_EVENTS)
        self.assertEqual(sorted(int(v) for v in found["objects"].values()), list(range(version - 99, version + 1)))
        self.assertLess(sizes[-1] - sizes[1], FLAT_BYTES, sizes)


class StreamingLists(Case):
    def test_27_unsupported(self):
        self.server.stream_lists = False
        tool = self.watching(no_streaming=False)
        self.assertEqual(len(self.asked(Request.is_stream_list)), 1)
        self.server.send_error(410)
        self.follows(tool, lists=3)  # the refused one, and two by pages
        self.assertEqual(len(self.asked(Request.is_stream_list)), 1)

    def test_28_without_end_bookmark(self):
        self.server.end_marks = False
        tool = self.watching(no_streaming=False, times=QUICK | {"stream_list_ms": 400})
        self.assertEqual(len(self.asked(Request.is_list)), 1)
        self.follows(tool)

    def test_28_error_before_end_bookmark(self):
        self.fill()
        for code in (410, 500):
            with self.subTest(code=code):
                def half(connection, request, code=code):
                    connection.begin_stream(request)
                    connection.write(line_of("ADDED", self.server.objects["configmaps", "n", "m0"]))
                    connection.write(line_of("ERROR", api_server.status_object(code)))
                self.server.on(Request.is_stream_list, half)
                tool = self.tool()
                tool.watch(times=QUICK)
                tool.wait_store(self.server.versions)
                self.follows(tool)

    def test_streaming_list_then_watch_in_one(self):
        tool = self.watching(no_streaming=False)
        self.follows(tool, lists=1, watches=1)
        self.assertEqual(len(self.asked(Request.is_watch)), 1)


class Transport(Case):
    def test_29_odd_chunk_sizes(self):
        chance = random.Random(29)

        def odd(data):
            at = 0
            while at < len(data):
                size = chance.choice((1, 1, 2, 3, 7, 100, 4096))
                yield data[at:at + size]
                at += size
        self.server.chunker = odd
        tool = self.watching(no_streaming=False)
        for number in range(50):
            self.server.put_map(f"o{number}", "\u20ac" * number)
        self.follows(tool, lists=1, failures=0)

    def test_30_gzip(self):
        self.server.gzip = True
        for no_streaming in (True, False):
            with self.subTest(no_streaming=no_streaming):
                tool = self.watching(no_streaming=no_streaming)
                self.assertIn("gzip", self.server.requests[-1].headers["accept-encoding"])
                for number in range(50):
                    self.server.put_map(f"o{number}", "z" * 1000)
                self.follows(tool, lists=1, failures=0)

    def test_user_agent(self):
        self.watching()
        self.assertEqual(self.server.requests[0].headers["user-agent"], "spate-kube-tool/1")


def make_authority(folder, name):
    """A CA, and a certificate of 127.0.0.1 by it: returns the two paths of the server, and the CA's."""
    def run(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run("req", "-x509", *curve, "-keyout", f"{name}-ca.key", "-out", f"{name}-ca.crt", "-days", "2", "-subj", f"/CN={name}")
    run("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=server")
    with open(os.path.join(folder, "san"), "w", encoding="utf-8") as file:
        file.write("subjectAltName=IP:127.0.0.1\n")
    run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{name}-ca.crt", "-CAkey", f"{name}-ca.key", "-CAcreateserial",
        "-out", f"{name}.crt", "-days", "2", "-extfile", "san")
    return [os.path.join(folder, f"{name}{end}") for end in (".crt", ".key", "-ca.crt")]


class Secured(unittest.TestCase):
    """As in a pod: TLS, a token file, a CA file."""

    def setUp(self):
        self.folder = temporary_folder(self)
        self.account = temporary_folder(self)
        certificate, key, self.ca = make_authority(self.folder, "first")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.server = ApiServer(self.context)
        self.addCleanup(self.server.close)
        self.server.token = "token-1"
        self.write("namespace", "team-a\n")
        self.write("token", "token-1\n")
        with open(self.ca, encoding="utf-8") as file:
            self.write("ca.crt", file.read())
        self.server.put_map("a", "x")
        os.environ |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.server.port)}

    def write(self, name, text):
        path = os.path.join(self.account, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def tool(self, **opening):
        tool = Tool(in_cluster=self.account, **opening)
        self.addCleanup(tool.end)
        self.assertEqual(tool.opened["namespace"], "team-a")
        return tool

    def test_12_401_then_token_rotated(self):
        tool = self.tool(credentials_ms=3_600_000)  # only the 401 makes it look
        tool.watch(times=QUICK)
        self.write("token", "token-2\n")
        self.server.token = "token-2"
        answer = tool.request("get", "v1/configmaps", namespace="n", name="a")
        self.assertEqual(answer["http"], 200)
        self.server.token = "token-3"  # not in the file yet
        self.assertEqual(tool.request("get", "v1/configmaps", namespace="n", name="a")["http"], 401)
        self.server.drop_watches()
        tool.wait("TROUBLE", code="denied")
        self.write("token", "token-3\n")
        self.server.put_map("b", "y")
        self.assertEqual(tool.wait_store(self.server.versions)["lists"], 1)

    def test_12_token_rotated_before_it_ends(self):
        tool = self.tool(credentials_ms=50)
        tool.watch(times=QUICK)
        self.write("token", "token-2\n")
        time.sleep(0.5)
        self.server.token = "token-2"
        tool.request("get", "v1/configmaps", namespace="n", name="a")
        self.assertEqual(self.server.requests[-1].headers["authorization"], "Bearer token-2")

    def test_12_token_file_gone_for_a_while(self):
        tool = self.tool(credentials_ms=50)
        tool.watch(times=QUICK)
        os.rename(os.path.join(self.account, "token"), os.path.join(self.account, "hidden"))
        self.assertIn("token", tool.wait("API_TROUBLE")["message"])
        self.assertEqual(tool.request("get", "v1/configmaps", namespace="n", name="a")["http"], 200)
        os.rename(os.path.join(self.account, "hidden"), os.path.join(self.account, "token"))
        self.server.put_map("b", "y")
        tool.wait_store(self.server.versions)

    def test_12_no_token_at_the_start(self):
        os.unlink(os.path.join(self.account, "token"))
        tool = self.tool(credentials_ms=100)
        answer = tool.request("get", "v1/configmaps", namespace="n", name="a")
        self.assertEqual((answer["http"], answer["code"]), (0, "not_found"))
        self.write("token", "token-1")
        tool.watch(times=QUICK)
        tool.wait_store(self.server.versions)

    def test_21_certificate_rotated(self):
        tool = self.tool(credentials_ms=50)
        tool.watch(times=QUICK)
        certificate, key, new_ca = make_authority(self.folder, "second")
        self.server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.context.load_cert_chain(certificate, key)
        self.server.drop_connections()
        tool.wait("TROUBLE")  # nobody vouches for the new certificate yet
        requests = len(self.server.requests)
        tool.wait("TROUBLE")
        self.assertEqual(len(self.server.requests), requests)  # so it is told nothing
        with open(new_ca, encoding="utf-8") as file:
            self.write("ca.crt", file.read())
        self.server.put_map("b", "y")
        self.assertEqual(tool.wait_store(self.server.versions)["lists"], 1)

    def test_client_certificate(self):
        certificate, key, ca = make_authority(self.folder, "client")
        self.server.context.verify_mode = ssl.CERT_REQUIRED
        self.server.context.load_verify_locations(ca)
        self.server.token = None
        path = os.path.join(self.folder, "config")
        config = {"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                  "clusters": [{"name": "k", "cluster": {"server": f"https://127.0.0.1:{self.server.port}",
                                                         "certificate-authority": "first-ca.crt"}}],
                  "users": [{"name": "u", "user": {"client-certificate": certificate, "client-key": key}}]}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        tool = Tool(kubeconfig=path)
        self.addCleanup(tool.end)
        self.assertEqual(tool.request("get", "v1/configmaps", namespace="n", name="a")["http"], 200)

    def test_12_401_then_plug_in_runs_again(self):
        """A credential plug-in whose token does not say when it ends."""
        script = os.path.join(self.folder, "login")
        with open(script, "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\ncd "$(dirname "$0")" && printf x >>runs && cat answer\n')
        os.chmod(script, 0o700)
        self.answer_token("token-1")
        path = os.path.join(self.folder, "config")
        plug_in = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login", "interactiveMode": "Never"}
        config = {"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                  "clusters": [{"name": "k", "cluster": {"server": f"https://127.0.0.1:{self.server.port}",
                                                         "certificate-authority": "first-ca.crt"}}],
                  "users": [{"name": "u", "user": {"exec": plug_in}}]}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        tool = Tool(kubeconfig=path, credentials_ms=50)
        self.addCleanup(tool.end)
        tool.watch(times=QUICK)
        time.sleep(0.5)
        self.assertEqual(os.path.getsize(os.path.join(self.folder, "runs")), 1)
        self.answer_token("token-2")
        self.server.token = "token-2"
        self.server.drop_watches()
        self.server.put_map("b", "y")
        self.assertEqual(tool.wait_store(self.server.versions)["lists"], 1)
        self.assertEqual(os.path.getsize(os.path.join(self.folder, "runs")), 2)

    def answer_token(self, token):
        with open(os.path.join(self.folder, "answer"), "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "client.authentication.k8s.io/v1", "status": {"token": token}}, file)

    def test_unknown_authority_is_refused(self):
        _, _, other = make_authority(self.folder, "other")
        with open(other, encoding="utf-8") as file:
            self.write("ca.crt", file.read())
        answer = self.tool().request("get", "v1/configmaps", namespace="n", name="a")
        self.assertEqual((answer["http"], answer["code"]), (0, "network"))
        self.assertEqual(self.server.requests, [])


class Writing(Case):
    def elect(self, tool, identity, **times):
        tool.do("elect", namespace="n", name="lead", identity=identity,
                **({"lease_ms": 2000, "renew_ms": 1200, "retry_ms": 200} | times))

    def test_22_lease_lost_mid_reconcile(self):
        first, second = self.tool(), self.tool()
        self.elect(first, "one")
        self.assertEqual(first.wait("LEADING")["term"], 1)
        self.elect(second, "two")
        self.assertEqual(second.wait("LEADER")["identity"], "one")
        first.stop()  # between its check and its write
        frozen = time.monotonic()
        self.assertEqual(second.wait("LEADING")["term"], 2)
        self.assertGreaterEqual(time.monotonic() - frozen, 1.3)
        self.assertLess(time.monotonic() - frozen, 5)
        first.do("sure")
        first.go_on()
        self.assertEqual(first.wait("SURE")["ms"], 0)
        if not any(e["event"] == "STOPPED" for e in first.seen):
            first.wait("STOPPED")
        self.assertGreater(second.ask("sure", "SURE")["ms"], 0)

    def test_lease_released_is_taken_at_once(self):
        first, second = self.tool(), self.tool()
        self.elect(first, "one", lease_ms=60000, renew_ms=30000, retry_ms=200)
        first.wait("LEADING")
        self.elect(second, "two", lease_ms=60000, renew_ms=30000, retry_ms=200)
        second.wait("LEADER", identity="one")
        first.do("release")
        first.wait("STOPPED")
        first.wait("RELEASED")
        self.assertEqual(second.wait("LEADING", 5)["term"], 2)

    def test_lease_without_a_server_is_given_up(self):
        tool = self.tool()
        self.elect(tool, "one")
        tool.wait("LEADING")
        self.server.frozen = True
        self.server.drop_connections()
        tool.wait("STOPPED", 3)
        self.assertEqual(tool.ask("sure", "SURE")["ms"], 0)
        self.server.frozen = False
        self.server.drop_connections()
        self.assertEqual(tool.wait("LEADING")["term"], 2)

    def test_lease_survives_half_open_connections(self):
        tool = self.tool()
        for number in range(8):  # several connections are kept open
            tool.do("request", id=f"r{number}", verb="get", resource="v1/configmaps", namespace="n", name="a")
        for _ in range(8):
            tool.wait("ANSWER")
        self.elect(tool, "one")
        tool.wait("LEADING")
        self.assertGreater(len(self.server.connections), 3)
        self.server.forget_connections()
        time.sleep(3)
        self.assertGreater(tool.ask("sure", "SURE")["ms"], 0)
        self.assertNotIn("STOPPED", [e["event"] for e in tool.seen])

    def test_deleted_lease_is_another_installation(self):
        tool = self.tool()
        self.elect(tool, "one")
        before = tool.wait("LEADING")
        with self.server.condition:
            lease = self.server.objects["leases", "n", "lead"]
            self.server.change("DELETED", "leases", lease)
        tool.wait("STOPPED")
        after = tool.wait("LEADING")
        self.assertEqual((before["term"], after["term"]), (1, 1))
        self.assertNotEqual(before["uid"], after["uid"])

    def test_23_end_during_a_patch(self):
        with self.server.condition:
            self.server.create("configmaps", {"metadata": {"name": "a"}}, "n")
        tool = self.tool()
        self.server.on(lambda r: r.method == "PATCH", lambda connection, request: time.sleep(5) or False)
        tool.do("request", id="r", verb="patch", resource="v1/configmaps", namespace="n", name="a",
                body={"data": {"value": "2"}})
        self.wait_for(lambda: self.asked(lambda r: r.method == "PATCH"), "the patch")
        begun = time.monotonic()
        self.assertEqual(tool.quit(), 0)
        self.assertLess(time.monotonic() - begun, 3)

    def test_24_conflict_on_status_update(self):
        with self.server.condition:
            self.server.create("models", {"metadata": {"name": "a"}, "spec": {"x": 1}}, "n")
        tool = self.tool()
        where = {"resource": "spate.dev/v1alpha1/models", "namespace": "n", "name": "a"}
        seen = tool.request("get", **where)["body"]
        with self.server.condition:
            self.server.change("MODIFIED", "models", copy.deepcopy(seen) | {"spec": {"x": 2}})
        mine = dict(seen, status={"ready": True})
        refused = tool.request("update", subresource="status", body=mine, **where)
        self.assertEqual((refused["http"], refused["code"], refused["reason"]), (409, "conflict", "Conflict"))
        mine = dict(tool.request("get", **where)["body"], status={"ready": True})
        written = tool.request("update", subresource="status", body=mine, **where)
        self.assertEqual(written["http"], 200)
        self.assertEqual(self.server.objects["models", "n", "a"]["spec"], {"x": 2})
        self.assertEqual(self.server.objects["models", "n", "a"]["status"], {"ready": True})

    def test_hostile_names_reach_no_request(self):
        tool = self.tool()
        for name in ("..", "a/b", "a%2fb", "a?x", "a\r\nX: y", "a b", "A", "\u00e4"):
            answer = tool.request("get", "v1/configmaps", namespace="n", name=name)
            self.assertEqual((answer["http"], answer["code"]), (0, "invalid"))
            answer = tool.request("get", "v1/configmaps", namespace=name, name="a")
            self.assertEqual((answer["http"], answer["code"]), (0, "invalid"))
        self.assertEqual(self.server.requests, [])

    def test_events_are_merged(self):
        tool = self.tool()
        for _ in range(50):
            tool.do("record", api_version="v1", kind="ConfigMap", namespace="n", name="a", uid="u", reason="ScaledUp",
                    action="Scaling", note="more")
        tool.do("record", api_version="v1", kind="ConfigMap", namespace="n", name="a", uid="u", reason="Other",
                action="Scaling", note="more")
        self.wait_for(lambda: tool.ask("recorded", "RECORDED")["created"] == 2, "the Events")
        counts = tool.ask("recorded", "RECORDED")
        self.assertEqual((counts["recorded"], counts["merged"], counts["dropped"]), (51, 49, 0))
        self.assertLessEqual(len(self.server.requests), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
