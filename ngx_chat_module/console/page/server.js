/*
 * Requests to the console's location, and what can go wrong with them.
 *
 * All addresses are relative to the page, so that it works at any path.
 */

const LIMIT = 10000;                    // ms for an answer
const LONGEST = 500;                    // characters of an error that are shown


/*
 * Closed by a 401: each further request would open the browser's dialog once
 * more.  What asks by itself waits until an answer has come again.
 */

export const gate = { closed: false };


/* kind: away, slow, sign-in, forbidden, missing, busy, refused, broken */

export class ServerError extends Error {
    constructor(kind, message, status = 0) {
        super(message);
        this.kind = kind;
        this.status = status;
    }
}


function kindOf(status) {
    switch (status) {
    case 401:
        return 'sign-in';
    case 403:
        return 'forbidden';
    case 404:
        return 'missing';
    case 429:
    case 503:
        return 'busy';
    default:
        return status >= 400 && status < 500 ? 'refused' : 'broken';
    }
}


/* The words of the module.  nginx's own pages, in HTML, have none. */

async function words(response) {
    const type = response.headers.get('Content-Type') ?? '';
    const text = await response.text().catch(() => '');

    if (type.startsWith('application/json')) {
        try {
            const { error } = JSON.parse(text);

            return typeof error === 'string' ? error : '';

        } catch {
            return '';
        }
    }

    return type.startsWith('text/plain') ? text.trim().slice(0, LONGEST) : '';
}


export async function refusal(response) {
    const { status } = response;

    /* whoever signs users in by another page sends us there */

    if (response.type === 'opaqueredirect') {
        return new ServerError('sign-in', 'The answer leads to another page.');
    }

    return new ServerError(kindOf(status), await words(response), status);
}


/*
 * A name in the browser's storage.  That is the same for all of a host, which
 * may have several consoles.
 */

export function own(name) {
    return `${name} ${new URL('.', location).pathname}`;
}


export function encode(segment) {
    return encodeURIComponent(segment);
}


/*
 * Pages of other sites can't send this header, or would have to ask first,
 * which the server does not answer.
 */

const OURS = { 'X-Chat-Console': '1' };


/*
 * The answer.  Where the caller's own signal ends the request, the error is
 * that of fetch(), which callers drop.
 */

export async function request(path, options = {}) {
    const { signal, limit = LIMIT, headers, ...rest } = options;
    const late = new AbortController();
    const timer = limit && setTimeout(() => late.abort(), limit);

    signal?.throwIfAborted();
    signal?.addEventListener('abort', () => late.abort(), { once: true });

    try {
        const response = await fetch(path, { cache: 'no-store',
            redirect: 'manual', signal: late.signal,
            headers: { ...headers, ...OURS }, ...rest });

        gate.closed = response.status === 401;

        if (!response.ok) {
            throw await refusal(response);
        }

        return limit ? { response, text: await response.text() }
                     : { response };

    } catch (error) {
        if (signal?.aborted || error instanceof ServerError) {
            throw error;
        }

        throw late.signal.aborted
              ? new ServerError('slow', `No answer for ${limit / 1000} s.`)
              : new ServerError('away', 'The server cannot be reached.');

    } finally {
        clearTimeout(timer);
    }
}


export async function get(path, { parse = JSON.parse, ...options } = {}) {
    const { response, text } = await request(path, options);

    try {
        return { data: parse(text), headers: response.headers };

    } catch {
        throw new ServerError('broken', 'The answer is not JSON.');
    }
}


export function post(path, body) {
    return request(path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body ?? {}),
    });
}
