/*
 * Requests to nginx in the name that was given, and its answers in words.
 */

const PATIENCE = 30000;                 // ms that an answer may take
const AGAIN = 5000;                     // ms until it is asked again

export const me = { name: '', typed: false };

/* Yours: none of this, where nginx knows by itself who is asking. */

export function nameHeader() {
    // a header's value has bytes: those of UTF-8
    const bytes = new TextEncoder().encode(me.name);

    return me.name && { 'Chat-Name': String.fromCharCode(...bytes) };
}

export class Refusal extends Error {
    constructor(text, response) {
        super(text);
        this.status = response?.status ?? 0;
        this.after = Number(response?.headers.get('Retry-After') ?? 0);
    }

    /* It is the message that has to change, not the moment. */

    get correctable() {
        return [400, 413, 422].includes(this.status);
    }
}

export async function request(address, { headers, ...options } = {}) {
    let response;

    try {
        response = await fetch(address, {
            cache: 'no-store',
            signal: AbortSignal.timeout(PATIENCE),
            headers: { ...headers, ...nameHeader() },
            ...options,
        });

    } catch (error) {
        throw new Refusal(error.name === 'TimeoutError'
                          ? 'The server does not answer.'
                          : 'The server cannot be reached.');
    }

    if (!response.ok) {
        throw new Refusal(await explain(response), response);
    }

    return response;
}

async function explain(response) {
    const body = await response.json().catch(() => null);

    if (Array.isArray(body?.content)) {
        return `The message ${body.content.join(', ')}.`;
    }

    if (response.status === 413) {
        return 'The message is too long.';
    }

    return `The server says: ${body?.error ?? (response.statusText || 'no')}`
           + ` (${response.status}).`;
}

/*
 * nginx says what it makes of the name: the same, '' where it may not be, or
 * another where it knows by itself who is asking.
 */

export async function introduce(name) {
    me.name = name;

    const response = await request(document.body.dataset.me).catch(() => null);

    me.name = await response?.text() ?? name;
    me.typed = me.name === name;

    if (me.typed) {
        sessionStorage.setItem('name', name);
    }
}

/* pusher-js asks only once where a subscription has to be signed. */

export function subscribe(pusher, channel, refused = () => {}) {
    return pusher.subscribe(channel)
        .bind('pusher:subscription_error', ({ status }) => {
            if (status === 403) {
                refused();

            } else {
                setTimeout(() => pusher.subscribe(channel), AGAIN);
            }
        });
}

/* Not by randomUUID(), which pages without TLS lack. */

export function makeKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));

    return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
