# SPDX-License-Identifier: Apache-2.0
"""
The conformance list of the watch client, one test a line, over real sockets: the client as a process
against a scripted API server. Each passes when the store equals the server's, with at most one list
per 410. Requests, credentials and leases: test_conformance_requests.py.
"""
import random
import time
import unittest

import api_server
from api_server import Request, line_of
from conformance import QUICK, Case

DAY_EVENTS = 1_000_000
FLAT_BYTES = 8 << 20


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


if __name__ == "__main__":
    unittest.main(verbosity=2)
