// SPDX-License-Identifier: Apache-2.0
// The unmodified official Node client against a gateway: OPENAI_BASE_URL and OPENAI_API_KEY say which.
// Each check is one function; the last line is "N passed, N failed".
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The package lives in a cache folder outside the tree, named by SPATE_NODE_MODULES.
const require = createRequire(`${process.env.SPATE_NODE_MODULES}/`);
const { default: OpenAI } = await import(pathToFileURL(require.resolve('openai')).href);

const model = 'brook';
const messages = [{ role: 'user', content: 'What is 345 + 678?' }];
const answerText = '345 + 678 = 1023 ✓';
const client = new OpenAI();

async function expectError(name, status, code, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.constructor.name, name);
    assert.equal(error.status, status);
    assert.equal(error.code, code);
    assert.ok(error.message.length > 0);
    assert.ok(error.requestID);
    return error;
  }
  assert.fail(`${name} was not thrown`);
}

const checks = {
  async chat() {
    const answer = await client.chat.completions.create({ model, messages, temperature: 0 });
    assert.equal(answer.choices[0].message.content.trim(), answerText);
    assert.ok(answer.choices[0].message.reasoning_content.includes('5+8=13'));
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  },

  async stream() {
    const chunks = await client.chat.completions.create({
      model, messages, temperature: 0, stream: true, stream_options: { include_usage: true },
    });
    const ids = new Set();
    let text = '';
    let usage;
    for await (const chunk of chunks) {
      ids.add(chunk.id);
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    assert.equal(ids.size, 1);
    assert.equal(text.trim(), answerText);
    assert.ok(usage.completion_tokens > 0);
    assert.ok(usage.completion_tokens_details.reasoning_tokens > 0);
  },

  async streamHelper() {
    const runner = client.chat.completions.stream({ model, messages, temperature: 0 });
    assert.equal((await runner.finalContent()).trim(), answerText);
  },

  async abort() {
    const chunks = await client.chat.completions.create({
      model, messages, stream: true, max_tokens: 4000, ignore_eos: true,
    });
    for await (const _ of chunks) {
      chunks.controller.abort();
      break;
    }
    await client.chat.completions.create({ model, messages, max_tokens: 1 });
  },

  async logprobs() {
    const answer = await client.chat.completions.create({
      model, messages, temperature: 0, logprobs: true, top_logprobs: 3, max_tokens: 6,
    });
    assert.equal(answer.choices[0].logprobs.content.length, 6);
    assert.equal(answer.choices[0].logprobs.content[0].top_logprobs.length, 3);
  },

  async completions() {
    const answer = await client.completions.create({ model, prompt: '345 + 678', max_tokens: 5 });
    assert.equal(answer.usage.completion_tokens, 5);
  },

  async models() {
    const names = [];
    for await (const entry of client.models.list()) names.push(entry.id);
    assert.ok(names.includes(model));
  },

  async wrongKey() {
    const other = new OpenAI({ apiKey: 'sk-spate-wrong' });
    await expectError('AuthenticationError', 401, 'invalid_api_key',
      () => other.chat.completions.create({ model, messages }));
  },

  async wrongModel() {
    await expectError('NotFoundError', 404, 'model_not_found',
      () => client.chat.completions.create({ model: 'ocean', messages }));
  },

  async wrongParameter() {
    const error = await expectError('BadRequestError', 400, 'invalid_request',
      () => client.chat.completions.create({ model, messages, temperature: 9 }));
    assert.equal(error.param, 'temperature');
  },

  async notDoneYet() {
    await expectError('BadRequestError', 400, 'unsupported_parameter',
      () => client.chat.completions.create({ model, messages, n: 2 }));
  },

  async rate() {
    const limited = new OpenAI({ apiKey: process.env.SPATE_RATE_KEY, maxRetries: 0 });
    await expectError('RateLimitError', 429, 'rate_limit_exceeded', async () => {
      for (let i = 0; i < 5; i++) await limited.chat.completions.create({ model, messages, max_tokens: 1 });
    });
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
  } catch (error) {
    failed++;
    console.error(`node client: FAILED: ${name}`, error);
  }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
