/*
 * Asks for something now and every few seconds, one request at a time, and
 * not while nobody looks at the page.
 */

import { gate } from './server.js';


export class Again {
    #timer = null;
    #abort = null;
    #closed = false;

    /* task(signal) asks and shows; its errors are its own. */

    constructor(task, every) {
        this.task = task;
        this.every = every;
        this.visible = () => {
            if (!document.hidden && !gate.closed && !this.#abort) {
                this.now();
            }
        };
        document.addEventListener('visibilitychange', this.visible);
    }

    /* Ends the request that is under way, since its answer is of before. */

    async now() {
        const abort = new AbortController();

        clearTimeout(this.#timer);
        this.#abort?.abort();
        this.#abort = abort;

        try {
            await this.task(abort.signal);

        } finally {
            if (this.#abort === abort) {
                this.#abort = null;
                this.#later();
            }
        }
    }

    #later() {
        if (!this.#closed) {
            this.#timer = setTimeout(() => {
                if (!document.hidden && !gate.closed) {
                    this.now();
                }
            }, this.every);
        }
    }

    close() {
        this.#closed = true;
        clearTimeout(this.#timer);
        this.#abort?.abort();
        document.removeEventListener('visibilitychange', this.visible);
    }
}
