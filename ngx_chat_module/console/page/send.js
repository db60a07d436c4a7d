/*
 * The form that sends an event to a channel.
 */

import { button, field, h, write } from './element.js';
import { words } from './fault.js';
import { byteLength, bytes, clock } from './format.js';
import { indented, read } from './json.js';
import { isEncrypted, isUser } from './names.js';
import { encode, post } from './server.js';

const LONGEST = 200;                    // characters of a name


/* What was being written, by app and channel, as long as the page lives. */

const drafts = new Map();


function nameFault(name) {
    if (name === '') {
        return 'An event needs a name.';
    }

    if ([...name].length > LONGEST) {
        return `A name has at most ${LONGEST} characters.`;
    }

    return /^pusher(_internal)?:/.test(name)
           ? 'Names that begin with pusher: are the protocol’s own.' : '';
}


function dataNote(data) {
    const size = bytes(byteLength(data));

    if (data.trim() === '') {
        return { text: 'Empty: subscribers get an empty text.', json: false };
    }

    return read(data)
           ? { text: `JSON, ${size}.`, json: true }
           : { text: `Not JSON, ${size}: subscribers get it as text.`,
               json: false };
}


export class SendForm {
    constructor(app, channel) {
        const key = JSON.stringify([app, channel]);
        const wide = matchMedia('(min-width: 60rem)').matches;

        this.app = app;
        this.channel = channel;
        this.draft = drafts.get(key) ?? { name: '', data: '{}' };
        drafts.set(key, this.draft);

        this.element = h('details', { class: 'send card', open: wide },
            h('summary', null, h('h2', null, 'Send an event')),
            this.form());
        this.check();
    }

    form() {
        this.name = h('input', { id: 'event', value: this.draft.name,
            autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
            'aria-describedby': 'event-fault',
            oninput: () => {
                this.draft.name = this.name.value;
                this.fault('');
            } });
        this.data = h('textarea', { id: 'data', rows: 8, spellcheck: 'false',
            autocapitalize: 'off', 'aria-describedby': 'data-note',
            oninput: () => {
                this.draft.data = this.data.value;
                this.check();
            },
            onkeydown: (event) => {
                if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
                    event.preventDefault();
                    this.send();
                }
            } });
        this.data.value = this.draft.data;
        this.submit = h('button', { class: 'primary' }, 'Send');
        this.tidy = button('Format', () => this.format());

        return h('form', { novalidate: true, onsubmit: (event) => {
            event.preventDefault();
            this.send();
        } },
            this.hint(),
            field('Event', this.name,
                  this.wrong = h('p', { id: 'event-fault', class: 'wrong',
                                        role: 'alert' })),
            field('Data', this.data,
                  this.note = h('p', { id: 'data-note', class: 'note' })),
            h('div', { class: 'buttons' }, this.submit, this.tidy,
              h('span', { class: 'faint keys' }, 'Ctrl+Enter sends')),
            this.refused = h('p', { class: 'wrong', role: 'alert' }),
            this.done = h('p', { class: 'done', role: 'status' }));
    }

    hint() {
        if (isEncrypted(this.channel)) {
            return h('p', { class: 'note' },
                'Subscribers of an encrypted channel drop what is not '
                + 'encrypted with its key, which the console does not have.');
        }

        return isUser(this.channel) ? h('p', { class: 'note' },
            'Goes to all connections that have signed in as this user.') : null;
    }

    check() {
        const { text, json } = dataNote(this.data.value);

        write(this.note, text);
        this.tidy.disabled = !json;
    }

    fault(text) {
        write(this.wrong, text);
        this.name.setAttribute('aria-invalid', Boolean(text));
    }

    format() {
        this.data.value = this.draft.data = indented(read(this.data.value));
        this.check();
    }

    async send() {
        const name = this.name.value.trim();
        const wrong = nameFault(name);

        write(this.done, '');
        write(this.refused, '');
        this.fault(wrong);

        if (wrong) {
            this.name.focus();
            return;
        }

        if (this.submit.disabled) {
            return;
        }

        this.submit.disabled = true;

        try {
            await post(`apps/${encode(this.app)}/events`,
                       { name, channel: this.channel, data: this.data.value });
            write(this.done, `Sent “${name}” at ${clock(new Date())}.`);

        } catch (error) {
            const { title, advice } = words(error);

            write(this.refused, `Not sent. ${title} ${advice}`.trim());

        } finally {
            this.submit.disabled = false;
        }
    }
}
