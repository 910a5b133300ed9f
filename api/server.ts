/** The HTTP server over the route table. Nothing that a client sends may end the process: the agent lives in it. */

import type { Socket } from 'node:net';
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import type { AgentView } from '../agent/view.js';
import { METRICS_TYPE, metricsText } from './metrics.js';
import { openApiDocument } from './openapi.js';
import { type Refusal, refusal, refusalOf } from './refusal.js';
import { type Asked, ROUTES } from './routes.js';

/** The part of a logger (pino's shape) that the API needs. */
export interface ApiLog {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** A request has to be complete after this long (ms). */
const REQUEST_MS = 10_000;
/** A connection on which nothing moves is closed (ms): a reader that stopped reading holds memory. */
const IDLE_MS = 60_000;
/** Answers, and no faults of the server. */
const EXPECTED: ReadonlySet<string> = new Set(['NOT_READY', 'SANDBOX_PENDING']);
/** As many pods as a node has may start at once, each with a plugin that waits. */
const MOST_CONNECTIONS = 256;
/** What a CNI plugin tells is the largest. */
const BODY_BYTES = 16_384;
/** A Kubernetes name has at most 253 characters; encoded, each may take three. */
const LONGEST_NAME = 3 * 253;
const JSON_TYPE = 'application/json; charset=utf-8';

function refuse(reply: FastifyReply, { status, body }: Refusal): FastifyReply {
  return reply.code(status).type(JSON_TYPE).send(JSON.stringify(body));
}

/** Bytes that are no HTTP, headers without end: there is no request to reply to, only a socket. */
function refuseSocket(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const text = JSON.stringify(refusal('BAD_REQUEST', `not a request that can be read: ${error.message}`).body);
  const head = `HTTP/1.1 400 Bad Request\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n`;
  socket.write(head + text);
  socket.destroySoon();
}

/** Answers those routes whose path is wanted. Not listening yet. */
export function routeServer(view: AgentView, log: ApiLog, wanted: (path: string) => boolean): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    connectionTimeout: IDLE_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: LONGEST_NAME },
    // An unknown parameter is refused, not removed: the client meant something by it.
    ajv: { customOptions: { removeAdditional: false } },
    clientErrorHandler: refuseSocket,
    frameworkErrors: (error, _request, reply) => void refuse(reply as FastifyReply, refusalOf(error)),
  });
  app.server.maxConnections = MOST_CONNECTIONS;

  app.setErrorHandler((error, request, reply) => {
    const answer = refusalOf(error);
    if (answer.status >= 500 && !EXPECTED.has(answer.body.code)) log.error({ err: error, url: request.url }, 'a request failed');
    return refuse(reply, answer);
  });
  app.setNotFoundHandler((request, reply) => {
    const { method, url } = request;
    const what = method === 'GET' || method === 'HEAD' ? `no ${url}` : `no ${method} ${url}`;
    return refuse(reply, refusal('NOT_FOUND', `${what}; /v1/openapi.json lists what there is`));
  });
  app.addHook('onResponse', async (request, reply) => {
    log.debug({ method: request.method, url: request.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'answered');
  });

  for (const { method, path, query, body, response, answer } of ROUTES) {
    if (!wanted(path)) continue;
    const schema = { querystring: query, response: { 200: response }, ...(body === undefined ? {} : { body }) };
    app.route({
      method,
      url: path,
      schema,
      handler: async (request, reply) => {
        const { name = '' } = request.params as { name?: string };
        const { limit, interface: inside = '' } = request.query as { limit?: number; interface?: string };
        const asked: Asked = { name, limit, interface: inside, body: request.body };
        const given = await answer(view, asked);
        return reply.type(JSON_TYPE).send(given);
      },
    });
  }
  return app;
}

/** The whole API. Not listening yet. */
export function apiServer(view: AgentView, log: ApiLog): FastifyInstance {
  const app = routeServer(view, log, () => true);
  const document = JSON.stringify(openApiDocument(view.status().version));
  app.get('/metrics', (_request, reply) => reply.type(METRICS_TYPE).send(metricsText(view.status())));
  app.get('/v1/openapi.json', (_request, reply) => reply.type(JSON_TYPE).send(document));
  return app;
}
