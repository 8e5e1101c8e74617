# SPDX-License-Identifier: Apache-2.0
"""Traffic of two tenants, killers, and what must hold of the money afterwards. Standard library only.

    SPATE_VIOLENCE=full   at least 200 kills per program (default: a size for each commit)
    SPATE_SEED=n          repeats a run: the requests and the order of the kills follow from it; their times can't
"""
import collections
import http.client
import json
import os
import random
import subprocess
import threading
import time

import charging
import rig as rigs

FULL = os.environ.get("SPATE_VIOLENCE") == "full"
SEED = int(os.environ.get("SPATE_SEED") or random.SystemRandom().randrange(1 << 32))
KEYS = {"acme": "sk-test-acme", "globex": "sk-test-globex"}
QUIET_S = 40 if not FULL else 120  # until every record has arrived
BROKEN = (OSError, http.client.HTTPException, ValueError)


def sized(usual, full):
    return full if FULL else usual


class Answer:
    """What one client asked and got."""

    def __init__(self, number, tenant, plan):
        self.number = number
        self.tenant = tenant
        self.plan = plan
        self.request_id = None
        self.ids = []
        self.usage = None
        self.status = None
        self.error = None
        self.finished = False  # got the last byte
        self.left = False      # closed the connection itself

    def take(self, answer):
        self.request_id = answer["id"].split("-", 1)[1]
        self.usage = answer.get("usage") or self.usage
        for choice in answer["choices"]:
            self.ids += choice.get("token_ids") or []


def plan_request(rng):
    """A body and when to leave: after so many ids or seconds, or not at all."""
    question = f"What is {rng.randrange(1000)} {rng.choice('+-')} {rng.randrange(1000)}?"
    body = {"model": "brook", "return_token_ids": True, "messages": [{"role": "user", "content": question}],
            "max_tokens": 1000}
    if rng.random() < 0.5:
        body |= {"temperature": 1.1, "seed": rng.randrange(1 << 31)}
    else:
        body |= {"temperature": 0}
    kind = rng.random()
    if kind < 0.25:
        body |= {"ignore_eos": True, "max_tokens": rng.randrange(100, 800)}
    elif kind < 0.4:
        body |= {"stop": [rng.choice(["carry", " = ", "</think>", "1"])]}
    elif kind < 0.5:
        body["messages"][0]["content"] = "Remember these: " + "12 + 34, " * rng.randrange(20, 120) + question
    body["stream"] = rng.random() < 0.6
    if body["stream"]:
        body["stream_options"] = {"include_usage": True}
    leave_ids = leave_s = None
    if rng.random() < 0.3:
        if body["stream"]:
            leave_ids = rng.choice([0, 1, 2, 5, 20, 60])
        else:
            leave_s = rng.random() ** 2
    return {"body": body, "leave_ids": leave_ids, "leave_s": leave_s}


def ask(address, answer, timeout=90):
    """One request from beginning to end, or to the point where this client leaves."""
    host, port = address.rsplit(":", 1)
    plan = answer.plan
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(plan["body"]),
                           {"authorization": f"Bearer {KEYS[answer.tenant]}"})
        if plan["leave_s"] is not None:
            connection.sock.settimeout(plan["leave_s"] + 0.001)
        response = connection.getresponse()
        answer.status = response.status
        if response.status != 200:
            answer.error = json.loads(response.read())["error"]
        elif plan["body"]["stream"]:
            read_stream(response, answer)
        else:
            answer.take(json.loads(response.read()))
            answer.finished = True
    except TimeoutError as e:
        answer.left = plan["leave_s"] is not None
        answer.error = None if answer.left else e
    except BROKEN as e:
        answer.error = e
    finally:
        connection.close()
    return answer


def read_stream(response, answer):
    limit = answer.plan["leave_ids"]
    while line := response.readline():
        if limit is not None and len(answer.ids) >= limit:
            answer.left = True
            return
        if not line.startswith(b"data: "):
            continue
        data = line[6:].strip()
        if data == b"[DONE]":
            answer.finished = True
            continue
        chunk = json.loads(data)
        if "error" in chunk:
            answer.error = chunk["error"]
            return
        answer.take(chunk)


class Traffic:
    """Clients that ask one request after the other: at least so many, and on until the block ends."""

    def __init__(self, address, count, clients=8, seed=SEED):
        self.address = address  # a function: the gateway may come back elsewhere
        self.count = count
        self.seed = seed
        self.answers = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client, daemon=True) for _ in range(clients)]
        self.enough = False  # the violence is over
        self.stopped = False  # nobody waits for a gateway that is down
        self.failed = False

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self.enough = True
        self.failed = exception[0] is not None
        for thread in self.threads:
            thread.join()

    def next_answer(self):
        with self.lock:
            number = len(self.answers)
            if self.failed or (self.enough and number >= self.count):
                return None
            rng = random.Random(f"{self.seed}/{number}")
            answer = Answer(number, rng.choice(sorted(KEYS)), plan_request(rng))
            self.answers.append(answer)
            return answer

    def stop(self):
        """No request after those that run now, however few there were."""
        self.count = 0
        self.enough = self.stopped = True

    def client(self):
        while answer := self.next_answer():
            ask(rigs.wait_for(self.address, what="the gateway's address"), answer)
            while isinstance(answer.error, ConnectionRefusedError) and not self.failed and not self.stopped:
                time.sleep(0.02)
                answer.error = None
                ask(rigs.wait_for(self.address, what="the gateway's address"), answer)


class LossyRecords(list):
    """The stand-in ledger's records: some answers get lost after the records were stored, so that they are sent again."""

    def __init__(self, seed):
        super().__init__()
        self.rng = random.Random(seed)
        self.lost = 0

    def extend(self, records):
        super().extend(records)
        if self.rng.random() < 0.2:
            self.lost += 1
            raise OSError("the answer is lost")


def read_counters(files):
    """Totals by run. A run that was killed while it made its file left one that can't be read: it computed nothing."""
    command = [str(rigs.BIN / "spate-count"), "--each", *map(str, files)]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL).stdout.splitlines()
    return {total["run"]: total for total in map(json.loads, lines) if "run" in total}


def spawn(process, with_address=False):
    """Starts it without waiting until it listens."""
    command = [str(rigs.BIN / process.arguments[0]), *process.arguments[1:]]
    if with_address:
        process.address_file.unlink(missing_ok=True)
        command += ["--address-file", str(process.address_file)]
    with open(process.log_path, "ab") as log:
        process.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


class MoneyRig(rigs.Rig):
    """The rig with two tenants, a ledger whose answers get lost, and the counters of all runs there ever were."""

    def __init__(self, gateway_options=()):
        super().__init__(("--collect-after", "1s", *gateway_options))
        self.counters = {}
        self.kills = collections.Counter()

    def __enter__(self):
        print(f"seed {SEED}: repeat with SPATE_SEED={SEED}", flush=True)
        super().__enter__()
        self.plane.server.handle_error = lambda *arguments: None
        self.plane.records = LossyRecords(SEED)
        self.plane.tenants = [rigs.tenant(name, key) for name, key in KEYS.items()]
        return self

    def gateway_address(self):
        try:
            return self.gateway.address
        except FileNotFoundError:
            return None

    def note_counters(self, agent):
        """The totals as they stand; of a dead run they are final, and its file may be tidied away later."""
        data = getattr(agent, "data", agent.folder / "data")
        files = [p for p in sorted((data / "runs").glob("*")) if p.suffix in (".counters", ".done")]
        for run, total in read_counters(files).items():
            known = self.counters.setdefault(run, total)
            assert all(total[t] >= known[t] for t in charging.TYPES), f"the counters of run {run} went back"
            self.counters[run] = total

    def publish(self, wait=False):
        routes = {"default/brook": [self.pod(name) for name in self.agents]}
        if wait:
            self.plane.publish_and_wait(routes)
        else:
            self.plane.publish(routes)

    def kill_agent(self, name, rng):
        """kill -9, sometimes again while it comes back, then it comes back."""
        agent = self.agents[name]
        self.check_alive()
        agent.kill()
        self.note_counters(agent)
        self.kills["agent"] += 1
        while rng.random() < 0.3:
            spawn(agent)
            time.sleep(rng.random() * 0.1)
            agent.kill()
            self.note_counters(agent)
            self.kills["agent"] += 1
        agent.start()
        self.publish()

    def kill_gateway(self, rng):
        self.check_alive()
        self.gateway.kill()
        self.kills["gateway"] += 1
        while rng.random() < 0.3:
            spawn(self.gateway)
            time.sleep(rng.random() * 0.05)
            self.gateway.kill()
            self.kills["gateway"] += 1
        self.gateway.start()

    def settle(self, unreported=()):
        """Waits until all that was counted has been reported, then returns the merged attempts and their charges.
        What does not come in time shows in the checks that follow."""
        end = time.monotonic() + QUIET_S
        while True:
            for agent in self.agents.values():
                self.note_counters(agent)
            attempts = charging.merge(list(self.plane.records))
            charges = charging.charge(attempts)
            told = charging.totals_by_run(charges)
            if self.is_quiet() and all(run in unreported or told[run] == told_of(total)
                                       for run, total in self.counters.items()):
                return attempts, charges
            if time.monotonic() > end:
                return attempts, charges
            time.sleep(0.2)

    def check_alive(self):
        """Only the tests may end a program: whatever died otherwise has crashed."""
        for process in [*self.agents.values(), self.gateway]:
            if process.process.poll() is not None:
                raise RuntimeError(f"{process.folder.name} ended by itself: {process.process.returncode}\n"
                                   + process.log_path.read_text()[-1000:])

    def is_quiet(self):
        self.check_alive()
        for agent in self.agents.values():
            status = agent.status(self.tokens["agent"])
            if status["running"] or status["unacknowledged"]:
                return False
        return True


def told_of(total):
    return collections.Counter({t: total[t] for t in charging.TYPES})


def check_money(test, counters, charges, unreported=()):
    """Counter = charged + waste, for each run and type; no position twice; nothing of an unknown run."""
    told = charging.totals_by_run(charges)
    test.assertGreater(len(charges), 0)
    for run, total in counters.items():
        if run not in unreported:
            test.assertEqual({t: told[run][t] for t in charging.TYPES}, {t: total[t] for t in charging.TYPES}, f"run {run}")
    for run, total in told.items():
        if run not in counters:
            test.assertEqual(set(total.values()), {0}, f"run {run} has no counter file, so it computed nothing")
    by_request = collections.defaultdict(list)
    for c in charges.values():
        by_request[c.attempt["request_id"]].append(c)
    for request, tries in by_request.items():
        positions = [p for c in tries for p in c.positions]
        test.assertEqual(len(positions), len(set(positions)), f"request {request}: a position is charged twice")
        test.assertLessEqual(sum(bool(c.counts["input_computed"] or c.counts["input_cached"]) for c in tries), 1)


def check_answers(test, answers, charges):
    """The ids that a client got are the positions that it pays for. Returns how many of each kind were checked."""
    by_request = collections.defaultdict(list)
    for c in charges.values():
        by_request[c.attempt["request_id"]].append(c)
    seen = collections.Counter()
    for answer in answers:
        tries = by_request.get(answer.request_id, [])
        positions = sorted(p for c in tries for p in c.positions)
        if answer.finished:
            seen["finished"] += 1
            check_finished(test, answer, tries, positions)
        elif answer.left and answer.request_id:
            seen["left"] += 1
            computed = max((c.attempt["start_position"] + c.attempt["output"] for c in tries), default=0)
            test.assertLessEqual(positions[-1:], [computed - 1], f"request {answer.request_id}")
        else:
            seen["broken" if answer.status != 200 or answer.request_id else "left early"] += 1
        test.assertFalse(tries and any(c.attempt["tenant"] not in ("", answer.tenant) for c in tries))
    return seen


def check_finished(test, answer, tries, positions):
    usage = answer.usage
    where = f"request {answer.request_id}: {answer.plan['body']}"
    test.assertEqual(positions, list(range(len(answer.ids))), where)
    test.assertEqual(usage["completion_tokens"], len(positions), where)
    test.assertEqual(usage["completion_tokens_details"]["reasoning_tokens"], sum(c.reasoning for c in tries), where)
    test.assertEqual(usage["prompt_tokens"], sum(c.counts["input_computed"] + c.counts["input_cached"] for c in tries), where)
    test.assertEqual(usage["prompt_tokens_details"]["cached_tokens"], sum(c.counts["input_cached"] for c in tries), where)
