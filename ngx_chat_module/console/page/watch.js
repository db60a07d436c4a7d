/*
 * Asks for `status` every two seconds, and tells how that goes.  Where the
 * location lets nobody in, or is not there, it asks more slowly; where nobody
 * is signed in, only when it is told to.
 *
 * state: starting, live, slow (no answer for some seconds), or the kind of a
 * ServerError.  Each view may listen to "change", and takes what it needs
 * from `status` and `samples`.
 */

import { Samples } from './samples.js';
import { get } from './server.js';

const EVERY = 2000;                     // between requests
const SLOWLY = 30000;                   // the same where it asks more slowly
const SLOW = 4000;                      // then the server is said to be slow
const SAVED = 20000;                    // between savings of the samples


export class Watch extends EventTarget {
    status = null;
    samples = new Samples();
    state = 'starting';
    error = null;
    answered = null;                    // when the last answer came
    #wake = null;
    #saved = 0;

    start() {
        this.samples.load(Date.now());
        this.#run();

        addEventListener('pagehide', () => this.samples.save());
    }

    get slowly() {
        return ['forbidden', 'missing'].includes(this.error?.kind);
    }

    /* Asks at once, also after a 401. */

    retry() {
        this.#wake?.();
    }

    async #run() {
        for ( ;; ) {
            const begun = performance.now();

            await this.#ask();

            const rest = (this.slowly ? SLOWLY : EVERY)
                         - (performance.now() - begun);

            /* asking after a 401 would only open the browser's dialog again */

            const hopeless = this.error?.kind === 'sign-in';

            await new Promise((resolve) => {
                const timer = hopeless ? null
                                       : setTimeout(resolve, Math.max(0, rest));

                this.#wake = () => {
                    clearTimeout(timer);
                    resolve();
                };
            });

            this.#wake = null;
        }
    }

    async #ask() {
        const slow = setTimeout(() => {
            if (this.state === 'live' || this.state === 'starting') {
                this.#set('slow', null);
            }
        }, SLOW);

        try {
            const { data } = await get('status');
            const now = Date.now();

            this.samples.add(data, now);
            this.status = data;
            this.answered = now;
            this.#set('live', null);

            if (now - this.#saved > SAVED) {
                this.#saved = now;
                this.samples.save();
            }

        } catch (error) {
            this.samples.gap(Date.now());
            this.#set(error.kind ?? 'broken', error);

        } finally {
            clearTimeout(slow);
        }
    }

    #set(state, error) {
        this.state = state;
        this.error = error;
        this.dispatchEvent(new Event('change'));
    }
}
