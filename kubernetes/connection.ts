/**
 * One connection to the API server for everything that a process asks of it: HTTP/2, so that its watches are streams of
 * one TCP connection and not a TLS connection each. A connection that is dead without having been closed (a node that
 * lost its power, a firewall that forgot) is found by pings, as client-go does it.
 */

import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { SfcError } from '../errors/index.js';
import type { ClusterConfig } from './config.js';
import { after } from './deadline.js';

const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH, HTTP2_HEADER_STATUS, NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;

/** Milliseconds, all of them; pings as client-go's http2 transport has them. A connection takes several turns of both ends. */
const CONNECT_MS = 30_000;
const PING_EVERY_MS = 30_000;
const PONG_WITHIN_MS = 15_000;
const ANSWER_WITHIN_MS = 30_000;
/** Bytes that the server may send before we acknowledge: the default 64 KiB would cost a list many turns. */
const WINDOW = 1 << 20;

export interface Asking {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly contentType?: string | undefined;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Throws SfcError KUBERNETES_UNREACHABLE where the answer breaks off. To be read, or `end` to be called. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Nothing more is wanted of it. */
  end(): void;
}

/** What has gone over the connection since it was made. */
export interface Traffic {
  readonly requests: number;
  /** Bytes of bodies, before TLS. */
  readonly received: number;
  readonly connections: number;
}

export class Connection {
  readonly #config: ClusterConfig;
  readonly #userAgent: string;
  #session: ClientHttp2Session | undefined;
  #opening: Promise<ClientHttp2Session> | undefined;
  #closed = false;
  #traffic = { requests: 0, received: 0, connections: 0 };

  constructor(config: ClusterConfig, userAgent: string) {
    this.#config = config;
    this.#userAgent = userAgent;
  }

  get server(): string {
    return this.#config.server;
  }

  get traffic(): Traffic {
    return { ...this.#traffic };
  }

  /** Resolves with the head of the answer. @throws SfcError KUBERNETES_UNREACHABLE, KUBERNETES_CONFIG; the reason of an aborted `signal` */
  async request({ method, path, contentType, body, signal }: Asking): Promise<Answer> {
    const authorization = await this.#config.authorization();
    const session = await this.#connected();
    signal?.throwIfAborted();
    this.#traffic.requests++;
    const base = new URL(this.#config.server).pathname.replace(/\/$/, '');
    const stream = session.request(
      {
        [HTTP2_HEADER_METHOD]: method,
        [HTTP2_HEADER_PATH]: base + path,
        accept: 'application/json',
        'user-agent': this.#userAgent,
        ...(authorization === undefined ? {} : { authorization }),
        ...(contentType === undefined ? {} : { 'content-type': contentType }),
      },
      { endStream: body === undefined },
    );
    const end = () => stream.close(NGHTTP2_CANCEL);
    signal?.addEventListener('abort', end, { once: true });
    stream.once('close', () => signal?.removeEventListener('abort', end));
    if (body !== undefined) stream.end(body);
    try {
      const headers = await this.#head(stream);
      return { status: Number(headers[HTTP2_HEADER_STATUS]), headers, chunks: this.#chunks(stream), end };
    } catch (error) {
      stream.destroy();
      signal?.throwIfAborted();
      throw error;
    }
  }

  #head(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
    return new Promise((resolve, reject) => {
      const answered = after(ANSWER_WITHIN_MS, () => reject(this.#unreachable(`no answer within ${ANSWER_WITHIN_MS / 1000} s`)));
      stream.once('response', resolve);
      // Stays for the stream's life: an error that comes while nobody reads must not end the process.
      stream.on('error', (cause) => reject(this.#unreachable(cause.message, cause)));
      stream.once('close', () => {
        answered();
        reject(this.#unreachable('the connection was closed'));
      });
      stream.once('response', answered);
    });
  }

  async *#chunks(stream: ClientHttp2Stream): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        this.#traffic.received += chunk.length;
        yield chunk;
      }
    } catch (cause) {
      throw this.#unreachable((cause as Error).message, cause);
    }
    if (stream.rstCode !== NGHTTP2_NO_ERROR && stream.rstCode !== undefined) throw this.#unreachable('the answer broke off');
  }

  #unreachable(why: string, cause?: unknown): SfcError {
    return new SfcError('KUBERNETES_UNREACHABLE', `the API server ${this.#config.server}: ${why}`, { cause });
  }

  async #connected(): Promise<ClientHttp2Session> {
    if (this.#closed) throw this.#unreachable('the connection is not used any more');
    const session = this.#session;
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<ClientHttp2Session> {
    const { rejectUnauthorized = true, ...identity } = await this.#config.tls();
    const given = Object.fromEntries(Object.entries(identity).filter(([, value]) => value !== undefined));
    const settings = { enablePush: false, initialWindowSize: WINDOW };
    const session = connect(this.#config.server, { ...given, rejectUnauthorized, settings });
    const forget = () => {
      if (this.#session === session) this.#session = undefined;
    };
    await new Promise<void>((resolve, reject) => {
      const done = after(CONNECT_MS, () => session.destroy(new Error(`no connection within ${CONNECT_MS / 1000} s`)));
      session.once('connect', () => resolve());
      session.on('error', (cause) => reject(this.#unreachable(cause.message, cause)));
      session.once('close', () => reject(this.#unreachable('the connection was closed')));
      session.once('connect', done);
      session.once('close', done);
    });
    if (this.#closed) session.destroy();
    session.setLocalWindowSize(WINDOW * 4);
    session.once('close', forget);
    // What runs there ends in its time; what comes next takes another connection.
    session.once('goaway', forget);
    keepAlive(session);
    this.#session = session;
    this.#traffic.connections++;
    return session;
  }

  close(): void {
    this.#closed = true;
    this.#session?.destroy();
  }
}

/** Ends a connection whose other end does not answer any more; all its streams end with it. */
function keepAlive(session: ClientHttp2Session): void {
  const every = setInterval(() => {
    const answered = after(PONG_WITHIN_MS, () => session.destroy(new Error(`no answer to a ping within ${PONG_WITHIN_MS / 1000} s`)));
    const sent = !session.destroyed && session.ping(answered);
    if (!sent) answered();
  }, PING_EVERY_MS);
  every.unref();
  session.once('close', () => clearInterval(every));
}
