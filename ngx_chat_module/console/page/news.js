/*
 * The incidents, looked at now and then, and which of them are new to whoever
 * looks at this browser.
 */

import { gate, get, own } from './server.js';

const EVERY = 5000;
const KEY = 'chat-console-incidents-seen';


export class News extends EventTarget {
    incidents = null;
    error = null;
    ahead = 0;                          // ms, of the server's clock
    #looking = false;

    start() {
        this.look();
        setInterval(() => document.hidden || gate.closed || this.look(), EVERY);
    }

    async look() {
        if (this.#looking) {
            return;
        }

        this.#looking = true;

        try {
            const { data } = await get('incidents');

            this.incidents = data.incidents;
            this.ahead = Date.parse(data.now) - Date.now();
            this.error = null;

        } catch (error) {
            this.error = error;
        }

        this.#looking = false;
        this.dispatchEvent(new Event('change'));
    }

    /* How many kinds have happened since the page Incidents was open. */

    get fresh() {
        const seen = this.#read();

        return (this.incidents ?? []).filter(({ last }) => last > seen).length;
    }

    seen() {
        const last = this.incidents.map((incident) => incident.last).sort();

        if (last.length) {
            this.#write(last.at(-1));
        }
    }

    #read() {
        try {
            return localStorage.getItem(own(KEY)) ?? '';

        } catch {
            return '';
        }
    }

    #write(value) {
        try {
            localStorage.setItem(own(KEY), value);

        } catch {
            /* then they stay new */
        }
    }
}
