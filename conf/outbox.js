/*
 * What is being sent, one after the other, so that it is stored in this order.
 *
 * How a message shows once: the POST names the connection's socket_id, so
 * that the event goes to all others, and the answer is what gets shown.
 * How it is stored once: it has an Idempotency-Key, the same whenever it is
 * sent again, since an answer may get lost on its way; nginx knows the key for
 * ten minutes, so what is older is sent again by hand only.
 */

import { makeKey, request } from './ask.js';
import { bubble, make } from './message.js';

const KNOWN = 9 * 60000;                // ms for which a key surely is
const LONGEST = 60000;                  // ms between two tries

export class Outbox {
    letters = new Set();                // not there yet, or refused
    queue = Promise.resolve();

    /* socketId() is the connection's, edit() gives a text back. */

    constructor(socketId, edit) {
        this.socketId = socketId;
        this.edit = edit;
    }

    send(room, content) {
        const letter = { room, content, key: makeKey(), begun: Date.now(),
                         pause: 500 };

        letter.item = bubble(content);
        letter.fate = make('div', 'fate');
        letter.item.append(letter.fate);
        this.letters.add(letter);
        this.post(letter);
    }

    post(letter) {
        const { room, item, fate } = letter;

        letter.failed = null;
        clearTimeout(letter.timer);
        item.className = 'message own pending';
        fate.textContent = 'Sending…';
        room.list.append(item);
        room.toEnd();

        this.queue = this.queue.then(() => this.ask(letter)).then(
            (message) => {
                this.drop(letter);
                room.show(message);
                room.settle();
            },
            (error) => this.fail(letter, error));
    }

    async ask({ room, content, key }) {
        const response = await request(room.link.dataset.messages, {
            method: 'POST',
            headers: {
                'Content-Type': 'application/json',
                'Idempotency-Key': key,
            },
            body: JSON.stringify({ content, socket_id: this.socketId() }),
        });

        return response.json();
    }

    drop(letter) {
        clearTimeout(letter.timer);
        this.letters.delete(letter);
        letter.item.remove();
        letter.room.settle();
    }

    /*
     * What can be corrected is given back for that.  The rest is sent again:
     * by hand, at the next connection, or when the server has said.
     */

    fail(letter, error) {
        const { room, item, fate, content } = letter;
        const alert = make('p', 'reason', `Not sent. ${error.message}`);
        const button = (text, done) => {
            const made = make('button', '', text);

            made.type = 'button';
            made.addEventListener('click', done);

            return made;
        };

        letter.failed = error;
        alert.setAttribute('role', 'alert');
        item.className = 'message own failed';
        fate.replaceChildren(alert,
            error.correctable
                ? button('Edit', () => {
                    this.drop(letter);
                    this.edit(content);
                })
                : button('Try again', () => this.post(letter)),
            button('Discard', () => this.drop(letter)));

        if (error.after > 0 && this.canRepeat(letter)) {
            letter.pause = Math.min(LONGEST, Math.max(error.after * 1000,
                                                      2 * letter.pause));
            letter.timer = setTimeout(() => this.post(letter), letter.pause);
        }

        room.settle();
    }

    canRepeat({ failed, begun }) {
        return failed && !failed.correctable && Date.now() - begun < KNOWN;
    }

    again() {
        this.letters.forEach((letter) => {
            if (this.canRepeat(letter)) {
                this.post(letter);
            }
        });
    }
}
