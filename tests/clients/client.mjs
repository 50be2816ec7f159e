// SPDX-License-Identifier: Apache-2.0
// Runs the SDKs of OpenAI, Anthropic and Google as they come from npm, with nothing but their own
// environment variables to tell them where the provider is:
//
//     node client.mjs <CASES
//
// A case is a JSON object a line: {"id", "sdk": "chat" | "completions" | "embeddings" | "responses" |
// "messages" | "generate", "model", "prompt", "pad": bytes to make it longer, "stream", "tools",
// "more": members of the request, "provider": one at PURPLE_GATEWAY_URL that speaks as OpenAI does,
// "azure": as Azure does, "abort": stop reading after so many events, "strict": fail on what was not
// asked for, "parallel": so many at once}. Each gives a line of what the program saw: {"id", "text",
// "tool", "usage", "model", "events", "error", "status", "requests", "retry_after", ...}. With the SDKs' own retries and defaults.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const modules = process.env.CLIENT_MODULES ?? ".";
const require = createRequire(pathToFileURL(modules + "/package.json"));
// What a package of both kinds gives an ES module.
const OpenAI = require("openai");
const Anthropic = require("@anthropic-ai/sdk");
const { GoogleGenAI } = require("@google/genai");

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const described = { name: "weather", description: "The weather of a city." };

// How many requests a call makes: the SDKs try again on their own.
let requests = 0;
const waits = [];
const fetched = globalThis.fetch;
globalThis.fetch = async (...given) => {
	requests++;
	const answer = await fetched(...given);
	if (answer.headers.has("retry-after"))
		waits.push(Number(answer.headers.get("retry-after")));
	return answer;
};

const clients = {};
function openai(c) {
	const url = process.env.PURPLE_GATEWAY_URL + "/" + c.provider;
	if (c.azure)
		return (clients[url] ??= new OpenAI.AzureOpenAI({
			baseURL: url + "/openai", apiKey: process.env.OPENAI_API_KEY, apiVersion: "2025-04-01-preview" }));
	if (c.provider)
		return (clients[url] ??= new OpenAI({ baseURL: url + "/v1" }));
	return (clients.openai ??= new OpenAI());
}
function anthropic() {
	return (clients.anthropic ??= new Anthropic());
}
function genai() {
	return (clients.genai ??= new GoogleGenAI({}));
}

// Each takes what it sees of a stream or an answer into `seen`.
const sdks = {
	async chat(c, seen) {
		const request = {
			model: c.model, stream: c.stream, messages: [{ role: "user", content: c.prompt }], ...c.more,
		};
		if (c.tools)
			request.tools = [{ type: "function", function: { ...described, parameters: schema } }];
		const answer = await openai(c).chat.completions.create(request);
		if (!c.stream) {
			const message = answer.choices[0].message;
			seen.text = message.content;
			seen.tool = message.tool_calls?.[0].function;
			return Object.assign(seen, { usage: answer.usage, model: answer.model });
		}
		for await (const chunk of answer) {
			// As simple programs do it: what was not asked for must not come.
			if (!request.stream_options?.include_usage && c.strict && chunk.choices.length === 0)
				throw new Error("a chunk without choices, unasked");
			if (!request.stream_options?.include_usage && c.strict && "usage" in chunk)
				throw new Error("usage, unasked");
			const delta = chunk.choices[0]?.delta;
			seen.text += delta?.content ?? "";
			const call = delta?.tool_calls?.[0].function;
			if (call) {
				seen.tool ??= { name: call.name, arguments: "" };
				seen.tool.arguments += call.arguments;
			}
			if (chunk.usage)
				seen.usage = chunk.usage;
			seen.model = chunk.model;
			if (++seen.events === c.abort)
				break;
		}
	},
	async completions(c, seen) {
		const answer = await openai(c).completions.create(
			{ model: c.model, stream: c.stream, prompt: c.prompt, ...c.more });
		if (!c.stream)
			return Object.assign(seen, { text: answer.choices[0].text, usage: answer.usage });
		for await (const chunk of answer) {
			seen.text += chunk.choices[0]?.text ?? "";
			seen.events++;
		}
	},
	async embeddings(c, seen) {
		const answer = await openai(c).embeddings.create({ model: c.model, input: c.prompt, ...c.more });
		Object.assign(seen, { text: answer.data[0].embedding.join(" "), usage: answer.usage });
	},
	async responses(c, seen) {
		const request = { model: c.model, stream: c.stream, input: c.prompt, ...c.more };
		if (c.tools)
			request.tools = [{ type: "function", ...described, parameters: schema, strict: false }];
		const answer = await openai(c).responses.create(request);
		let last = answer;
		if (c.stream) {
			for await (const event of answer) {
				if (event.type === "response.output_text.delta")
					seen.text += event.delta;
				if (event.type === "response.failed")
					throw Object.assign(new Error(event.response.error.message),
						{ code: event.response.error.code });
				last = event.response ?? last;
				if (++seen.events === c.abort)
					return;
			}
		} else {
			seen.text = last.output_text;
		}
		seen.tool = last.output.find((item) => item.type === "function_call");
		Object.assign(seen, { usage: last.usage, model: last.model });
	},
	async messages(c, seen) {
		const request = {
			model: c.model, max_tokens: 1000, messages: [{ role: "user", content: c.prompt }], ...c.more,
		};
		if (c.tools)
			request.tools = [{ ...described, input_schema: schema }];
		let message;
		if (c.stream) {
			const stream = anthropic().messages.stream(request);
			for await (const event of stream) {
				void event;
				if (++seen.events === c.abort)
					return stream.abort();
			}
			message = await stream.finalMessage();
		} else {
			message = await anthropic().messages.create(request);
		}
		seen.text = message.content.filter((b) => b.type === "text").map((b) => b.text).join("");
		seen.tool = message.content.find((b) => b.type === "tool_use");
		Object.assign(seen, { usage: message.usage, model: message.model });
	},
	async generate(c, seen) {
		const request = { model: c.model, contents: c.prompt, config: { ...c.more } };
		if (c.tools)
			request.config.tools = [{ functionDeclarations: [{ ...described, parametersJsonSchema: schema }] }];
		let last;
		const see = (answer) => {
			last = answer;
			for (const part of answer.candidates?.[0]?.content?.parts ?? []) {
				if (part.text && !part.thought)
					seen.text += part.text;
				seen.tool ??= part.functionCall;
			}
			seen.events++;
		};
		if (c.stream) {
			for await (const chunk of await genai().models.generateContentStream(request)) {
				see(chunk);
				if (seen.events === c.abort)
					return;
			}
		} else {
			see(await genai().models.generateContent(request));
		}
		Object.assign(seen, { usage: last.usageMetadata, model: last.modelVersion });
	},
	async models(c, seen) {
		seen.text = (await openai(c).models.list()).data.map((m) => m.id).join(" ");
	},
	async count(c, seen) {
		const count = await anthropic().messages.countTokens(
			{ model: c.model, messages: [{ role: "user", content: c.prompt }] });
		seen.text = String(count.input_tokens);
	},
};

async function run(c) {
	const seen = { id: c.id, text: "", events: 0 };
	const start = Date.now(), before = requests, waited = waits.length;
	if (c.pad)
		c.prompt += " " + "x".repeat(c.pad);
	try {
		await sdks[c.sdk](c, seen);
	} catch (e) {
		seen.error = e.message;
		seen.kind = e.constructor.name;
		seen.status = e.status;
		seen.code = e.code ?? e.error?.error?.type;
	}
	seen.ms = Date.now() - start;
	seen.requests = requests - before;
	seen.retry_after = waits.slice(waited);
	return seen;
}

for await (const line of createInterface({ input: process.stdin })) {
	if (!line.trim())
		continue;
	const c = JSON.parse(line);
	const all = Array.from({ length: c.parallel ?? 1 }, () => run(c));
	for (const one of all)
		console.log(JSON.stringify(await one));
}
