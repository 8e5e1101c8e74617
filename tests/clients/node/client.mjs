// SPDX-License-Identifier: Apache-2.0
// The official Node client, unmodified, against the gateway; see ../run.py. The argument is the
// package.json of the folder that the client is installed in.
import assert from "node:assert/strict";
import {createRequire} from "node:module";
import {setTimeout as sleep} from "node:timers/promises";

const OpenAI = createRequire(process.argv[2])("openai");
const question = [{role: "user", content: "What is 345 + 678?"}];
const tests = [];

function test(name, run) {
    tests.push({name, run});
}

function client(key = "SPATE_KEY", options = {}) {
    return new OpenAI({baseURL: process.env.SPATE_URL, apiKey: process.env[key], maxRetries: 0, ...options});
}

function chat(options = {}) {
    return client().chat.completions.create({model: "brook", messages: question, temperature: 0, ...options});
}

// The call fails with exactly that class, and the error has these members. Returns the error.
async function raises(errorClass, call, expected = {}) {
    let error = null;
    try {
        await call();
    } catch (caught) {
        error = caught;
    }
    assert.equal(error?.constructor, errorClass, `${error}`);
    for (const [name, value] of Object.entries(expected))
        assert.equal(error[name], value, `${name} of ${error}`);
    return error;
}

async function until(condition, ms, what) {
    const end = Date.now() + ms;
    while (!(await condition())) {
        assert(Date.now() < end, `${what} within ${ms} ms`);
        await sleep(10);
    }
}

async function agentsRunning() {
    let total = 0;
    for (const address of process.env.SPATE_AGENTS.split(" ")) {
        const text = await (await fetch(`http://${address}/metrics`)).text();
        for (const line of text.split("\n"))
            if (line.startsWith("vllm:num_requests_running"))
                total += Number(line.slice(line.lastIndexOf(" ")));
    }
    return total;
}

test("chat answers", async () => {
    const answer = await chat();
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.match(answer.choices[0].message.content, /1023/);
    assert(answer.choices[0].message.reasoning_content.length > 0);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert(answer.usage.completion_tokens_details.reasoning_tokens > 0);
    assert(answer._request_id);
});

test("streams", async () => {
    const whole = await chat();
    let content = "", thinking = "", last = null;
    const ids = new Set();
    for await (const chunk of await chat({stream: true, stream_options: {include_usage: true}})) {
        ids.add(chunk.id);
        assert.equal(chunk.object, "chat.completion.chunk");
        content += chunk.choices[0]?.delta.content ?? "";
        thinking += chunk.choices[0]?.delta.reasoning_content ?? "";
        if (last !== null)
            assert.equal(last.usage, null);
        last = chunk;
    }
    assert.equal(ids.size, 1);
    assert.equal(content, whole.choices[0].message.content);
    assert.equal(thinking, whole.choices[0].message.reasoning_content);
    assert.deepEqual(last.choices, []);
    assert.equal(last.usage.completion_tokens, whole.usage.completion_tokens);
});

test("the stream helper assembles what the server would", async () => {
    const helper = client().chat.completions.stream({model: "brook", messages: question, temperature: 0});
    const final = await helper.finalChatCompletion();
    assert.equal(final.choices[0].message.content, (await chat()).choices[0].message.content);
});

test("completions by text and by ids", async () => {
    const options = {model: "brook", temperature: 0, max_tokens: 12};
    const byText = await client().completions.create({...options, prompt: "What is 2 + 3?", return_token_ids: true});
    const byIds = await client().completions.create({...options, prompt: byText.prompt_token_ids});
    assert.equal(byIds.choices[0].text, byText.choices[0].text);
    assert.equal(byText.choices[0].token_ids.length, byText.usage.completion_tokens);
});

test("logprobs", async () => {
    const answer = await chat({logprobs: true, top_logprobs: 2});
    const tokens = answer.choices[0].logprobs.content;
    assert.equal(tokens.length, answer.usage.completion_tokens);
    for (const token of tokens) {
        assert(token.logprob <= 0);
        assert.equal(token.top_logprobs.length, 2);
        assert.equal(token.top_logprobs[0].token, token.token);
    }
});

test("limits, stop and seed", async () => {
    for (const name of ["max_tokens", "max_completion_tokens"])
        assert.equal((await chat({[name]: 6})).usage.completion_tokens, 6);
    const content = (await chat()).choices[0].message.content;
    const stopped = await chat({stop: content[0]});
    assert.equal(stopped.choices[0].finish_reason, "stop");
    assert(!stopped.choices[0].message.content.includes(content[0]));
    const drawn = [];
    for (const seed of [3, 3])
        drawn.push((await client().completions.create({model: "brook", prompt: "zebra", temperature: 2, seed, max_tokens: 16}))
                       .choices[0].text);
    assert.equal(drawn[0], drawn[1]);
});

test("models", async () => {
    const names = [];
    for await (const model of client().models.list())
        names.push(model.id);
    assert.deepEqual(names.sort(), ["asleep", "brook"]);
    for (const name of ["brook", "default/brook"])
        assert.equal((await client().models.retrieve(name)).id, name);
});

test("headers", async () => {
    const {data, response, request_id} =
        await client().chat.completions.create({model: "brook", messages: question, max_tokens: 2}).withResponse();
    assert.equal(response.headers.get("x-request-id"), request_id);
    assert(request_id.length > 0 && data.choices.length === 1);
});

test("errors have their classes", async () => {
    const tool = {type: "function", function: {name: "f", parameters: {}}};
    await raises(OpenAI.BadRequestError, () => chat({tools: [tool]}), {code: "unsupported_parameter", param: "tools"});
    await raises(OpenAI.BadRequestError, () => chat({max_tokens: 1000000}), {code: "context_length_exceeded"});
    await raises(OpenAI.BadRequestError, () => chat({top_p: 7}), {param: "top_p", type: "invalid_request_error"});
    const stranger = new OpenAI({baseURL: process.env.SPATE_URL, apiKey: "sk-wrong", maxRetries: 0});
    await raises(OpenAI.AuthenticationError, () => stranger.models.list(), {code: "invalid_api_key"});
    const unknown = await raises(OpenAI.NotFoundError, () => chat({model: "gpt-4"}), {code: "model_not_found"});
    assert.match(unknown.message, /brook/);
    await raises(OpenAI.InternalServerError, () => chat({model: "asleep"}), {code: "model_unavailable", status: 503});
});

test("the rate is limited", async () => {
    const ask = () => client("SPATE_KEY_RATE").completions.create({model: "brook", prompt: "1", max_tokens: 1});
    await ask();
    await ask();
    const error = await raises(OpenAI.RateLimitError, ask, {code: "rate_limit_exceeded"});
    assert(Number(error.headers.get("retry-after")) <= 30);
});

test("a full tenant is retried after the time asked for", async () => {
    const stream = await client("SPATE_KEY_ONE").chat.completions.create(
        {model: "brook", messages: question, stream: true, max_tokens: 15000, ignore_eos: true});
    await stream[Symbol.asyncIterator]().next();
    setTimeout(() => stream.controller.abort(), 300);
    const before = Date.now();
    const answer = await client("SPATE_KEY_ONE", {maxRetries: 2})
                       .completions.create({model: "brook", prompt: "1", max_tokens: 1});
    assert(answer.choices.length === 1 && Date.now() - before >= 990);
});

test("leaving in mid-stream frees the slot", async () => {
    await until(async () => (await agentsRunning()) === 0, 5000, "the engines are idle");
    const stream = await client().chat.completions.create(
        {model: "brook", messages: question, stream: true, max_tokens: 15000, ignore_eos: true});
    let count = 0;
    for await (const _ of stream)
        if (++count === 5)
            break;
    await until(async () => (await agentsRunning()) === 0, 1000, "the engine's slot is free");
});

for (const {name, run} of tests) {
    try {
        await run();
        console.log(`ok ${name}`);
    } catch (error) {
        console.log(`FAILED ${name}: ${String(error.stack).replaceAll("\n", " | ")}`);
        process.exitCode = 1;
    }
}
process.exit();
