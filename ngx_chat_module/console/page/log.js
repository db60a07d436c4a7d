/*
 * The newest events of a channel, in bounded memory.
 */

const MOST = 1000;
const BYTES = 16 * 1024 * 1024;         // of their data, as characters


export class Log {
    events = [];
    total = 0;                          // all that came, not the notices
    size = 0;                           // characters of all that came
    #held = 0;
    #sequence = 0;

    /* { name, data }, or { notice }, a remark between events */

    add(entry) {
        const made = { ...entry, key: ++this.#sequence, time: new Date() };

        if (made.notice === undefined) {
            this.total++;
            this.size += made.data.length;
            this.#held += made.data.length;
        }

        this.events.push(made);

        while (this.events.length > MOST
               || (this.#held > BYTES && this.events.length > 1))
        {
            this.#held -= this.events.shift().data?.length ?? 0;
        }

        return made;
    }

    clear() {
        this.events = [];
        this.total = this.size = this.#held = 0;
    }

    /* Those that match, the newest first; those up to `after` are known. */

    newest(matches, most, after = 0) {
        const found = [];

        for (let i = this.events.length - 1; i >= 0; i--) {
            const entry = this.events[i];

            if (entry.key <= after || found.length === most) {
                break;
            }

            if (matches(entry)) {
                found.push(entry);
            }
        }

        return found;
    }
}


/* Anything with this text in it, whatever its case. */

export function matcher(text) {
    const wanted = text.toLowerCase();

    return wanted === '' ? () => true : ({ name, data, notice }) => (
        notice !== undefined || name.toLowerCase().includes(wanted)
        || data.toLowerCase().includes(wanted));
}
