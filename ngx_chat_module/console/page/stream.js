/*
 * Server-sent events, read by fetch().
 *
 * EventSource gives events only to those who know their names beforehand, and
 * says nothing of a refusal; an operator wants all of them, and the reason.
 * Like EventSource this comes back by itself with the position it has, and
 * gets what it missed, or is told that something may be missing.
 */

import { ServerError, request } from './server.js';

const RETRY = 1000;
const LONGEST = 10000;
const SILENT = 40000;       // the server says something every 15 seconds
const FINAL = ['sign-in', 'forbidden', 'missing', 'refused'];


/* Lines to events; what comes may end within a line. */

export class Parser {
    #rest = '';
    #event = '';
    #data = [];
    #id = null;

    constructor(onevent) {
        this.onevent = onevent;
        this.position = null;
    }

    /* What a cut has left half said is said again. */

    begin() {
        this.#rest = '';
        this.#clear();
    }

    #clear() {
        this.#event = '';
        this.#data = [];
        this.#id = null;
    }

    push(text) {
        const lines = (this.#rest + text).split('\n');

        this.#rest = lines.pop();
        lines.forEach((line) => this.#line(line.replace(/\r$/, '')));
    }

    #line(line) {
        const colon = line.indexOf(':');

        if (line === '') {
            this.#end();
            return;
        }

        if (colon === 0) {
            return;                     // a comment, that keeps proxies awake
        }

        const name = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');

        switch (name) {
        case 'event':
            this.#event = value;
            break;
        case 'data':
            this.#data.push(value);
            break;
        case 'id':
            this.#id = value;
            break;
        }
    }

    #end() {
        const event = { name: this.#event || 'message',
                        data: this.#data.join('\n'), id: this.#id };
        const any = this.#data.length > 0;

        this.position = this.#id ?? this.position;
        this.#clear();

        if (any) {
            this.onevent(event);
        }
    }
}


/*
 * onevent({ name, data, id }); onrecovery(recovered), where it came back with
 * a position that is not simply gone on from; onstate('connecting' | 'live' |
 * 'ended', error).
 */

export class Stream {
    #abort = new AbortController();
    #tries = 0;
    #wake = null;

    constructor(path, handlers) {
        this.path = path;
        this.handlers = handlers;
        this.parser = new Parser((event) => this.#event(event));
        this.#run();
    }

    close() {
        this.#abort.abort();
        this.#wake?.();
    }

    /* The server's own events have no position. */

    #event(event) {
        if (event.name === 'recovery' && event.id === null) {
            this.handlers.onrecovery(/"recovered":true/.test(event.data));

        } else {
            this.handlers.onevent(event);
        }
    }

    async #run() {
        const { signal } = this.#abort;

        while (!signal.aborted) {
            let error = null;

            try {
                await this.#read();

            } catch (caught) {
                error = caught instanceof ServerError
                        ? caught : new ServerError('away', String(caught));
            }

            if (signal.aborted) {
                return;
            }

            if (FINAL.includes(error?.kind)) {
                this.handlers.onstate('ended', error);
                return;
            }

            this.handlers.onstate('connecting', error);
            await this.#wait(error ? Math.min(LONGEST, RETRY * 2 ** this.#tries)
                                   : RETRY / 4);
            this.#tries++;
        }
    }

    #wait(time) {
        return new Promise((resolve) => {
            const timer = setTimeout(resolve, time);

            this.#wake = () => {
                clearTimeout(timer);
                resolve();
            };
        });
    }

    async #read() {
        const { parser } = this;
        const silent = new AbortController();
        const end = () => silent.abort();
        let timer = setTimeout(end, SILENT);

        this.#abort.signal.addEventListener('abort', end);

        try {
            const headers = { Accept: 'text/event-stream' };

            if (parser.position) {
                headers['Last-Event-ID'] = parser.position;
            }

            const { response } = await request(this.path, {
                headers, signal: silent.signal, limit: 0 });

            const reader = response.body.pipeThrough(new TextDecoderStream())
                                        .getReader();

            parser.begin();
            this.#tries = 0;
            this.handlers.onstate('live', null);

            for ( ;; ) {
                const { done, value } = await reader.read();

                if (done) {
                    return;
                }

                clearTimeout(timer);
                timer = setTimeout(end, SILENT);
                parser.push(value);
            }

        } finally {
            clearTimeout(timer);
            this.#abort.signal.removeEventListener('abort', end);
        }
    }
}
