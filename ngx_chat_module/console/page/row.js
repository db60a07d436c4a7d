/*
 * An event or a message: a line that opens to all of its text.
 *
 * Most rows are never opened, and a live channel has a thousand of them, so
 * what is inside is made at the first opening.
 */

import { button, h } from './element.js';
import { byteLength, bytes } from './format.js';
import { read, tree } from './json.js';

const PREVIEW = 200;                    // characters of the line
const MOST = 50000;                     // characters that are shown at once


function preview(text) {
    return text.slice(0, PREVIEW).replace(/\s+/g, ' ');
}


function plain(text) {
    const pre = h('pre', null, text.slice(0, MOST));

    if (text.length > MOST) {
        const more = button(`Show all of ${bytes(byteLength(text))}`, () => {
            pre.textContent = text;
            more.remove();
        });

        return h('div', null, pre, more);
    }

    return pre;
}


function body(text, more) {
    const parsed = text.length > MOST ? null : read(text);
    const size = h('span', { class: 'faint' }, bytes(byteLength(text)));
    let raw = !parsed || parsed.root.raw !== undefined;

    const place = h('div', null, raw ? plain(text) : tree(parsed));
    const toggle = button('As it came', () => {
        raw = !raw;
        toggle.setAttribute('aria-pressed', raw);
        place.replaceChildren(raw ? plain(text) : tree(parsed));
    }, { 'aria-pressed': 'false' });

    return h('div', { class: 'inside' },
             h('p', { class: 'about' }, more, ' ', size, ' ',
               raw ? null : toggle),
             place);
}


/* heading: elements of the line; text; more, said inside */

export class Row {
    constructor({ heading, text, more, onopen }) {
        this.details = h('details', { ontoggle: () => {
            if (this.details.open && !this.made) {
                this.made = body(text, more);
                this.details.append(this.made);
            }

            if (this.details.open) {
                onopen?.();
            }
        } }, h('summary', null, heading,
               h('code', { class: 'preview' }, preview(text))));
        this.element = h('li', null, this.details);
    }
}
