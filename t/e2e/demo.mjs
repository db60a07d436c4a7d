/*
 * The demo, served as `make run` does, and people in front of it.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Window } from './browser.mjs';
import { packages, withServer } from './server.mjs';

const LATE = 20000;                     // ms
const NAMES = ['Ann', 'Bob', 'Cid', 'Dot'];

const axe = fs.readFileSync(packages.resolve('axe-core/axe.min.js'), 'utf8');


/*
 * Runs in the page, whose policy has no eval() for Playwright to look again
 * with: ends when what is read is what is wanted.
 */

function watch(read, wanted) {
    return new Promise((resolve) => {
        const look = () => {
            if (JSON.stringify(read()) === JSON.stringify(wanted)) {
                resolve();
            }
        };

        new MutationObserver(look).observe(document, {
            attributes: true, characterData: true, childList: true,
            subtree: true });
        addEventListener('scroll', look, { capture: true });
        look();
    });
}


/* Runs in the page: what the room on view shows. */

function shown() {
    const texts = (which) => (
        [...document.querySelectorAll(`.room:not([hidden]) ${which} .text`)]
            .map((e) => e.textContent));

    return { sent: texts('[data-id]'), failed: texts('.failed'),
             pending: texts('.pending') };
}


export class Guest extends Window {

    get box() {
        return this.page.getByLabel('Your message');
    }

    get room() {
        return this.page.locator('.room:not([hidden])');
    }

    button(name) {
        return this.page.getByRole('button', { name, exact: true });
    }

    async join(name) {
        await this.page.getByLabel('Your name').fill(name);
        await this.button('Join').click();
        await this.box.waitFor();
    }

    state(text) {
        return this.page.getByRole('status').filter({ hasText: text })
                        .waitFor();
    }

    live() {
        return this.state(/^Live$/);
    }

    /* Live by the button, unless the page gets there by itself before. */

    async hurry() {
        await Promise.race([
            this.live(),
            this.button('Try now').click().catch(() => {}),
        ]);
        await this.live();
    }

    async send(text) {
        await this.box.fill(text);
        await this.button('Send').click();
    }

    /* The page shows another room a moment after the click, or the step. */

    stands(room) {
        return this.sees(
            () => document.getElementById('title').textContent, room);
    }

    async enter(room) {
        await this.page.getByRole('navigation')
                       .getByRole('link', { name: room }).click();
        await this.stands(room);
    }

    async back(room) {
        await this.page.goBack();
        await this.stands(room);
    }

    /* Waits until read(), in the page, returns what is wanted. */

    async sees(read, wanted) {
        const given = new AbortController();

        await Promise.race([
            this.page.evaluate(
                `(${watch})(${read}, ${JSON.stringify(wanted)})`),
            sleep(LATE, null, { signal: given.signal }).catch(() => {}),
        ]);
        given.abort();

        assert.deepEqual(await this.page.evaluate(read), wanted);
    }

    /*
     * Waits until the room shows just these messages, in this order, and
     * those that could not be sent.
     */

    shows(sent, failed = []) {
        return this.sees(shown, { sent, failed, pending: [] });
    }

    own() {
        return this.room.locator('.own .text').allTextContents();
    }

    /* Waits until just these are online, as this page has it. */

    online(...names) {
        return this.sees(() => (
            [...document.querySelectorAll('#people .name')]
                .map((e) => e.textContent)), names);
    }

    title(text) {
        return this.sees(() => document.title, text);
    }

    /* What axe has to say: its rules of WCAG 2.2 A and AA, and best ones. */

    async axe() {
        await this.page.evaluate(axe);

        const { violations } = await this.page.evaluate(
            () => globalThis.axe.run());

        assert.deepEqual(violations.map(({ id, nodes }) => (
            [id, ...nodes.map(({ html }) => html)])), []);
    }
}


/*
 * A test with the demo served, and guests who report their pages' errors.
 * Each has another name, or the one that is given, or with null none.
 */

export function withDemo(browser, test, options = {}) {
    return () => withServer({ demo: true, ...options }, async (server) => {
        const guests = [];

        const open = async ({ name = NAMES[guests.length], ...more } = {}) => {
            const guest = await Guest.open(browser(), server.url, more);

            guests.push(guest);

            if (name !== null) {
                await guest.join(name);
            }

            return guest;
        };

        try {
            await test({ server, open });
            guests.forEach(({ errors }) => assert.deepEqual(errors, []));

        } finally {
            await Promise.all(guests.map((guest) => guest.close()));
        }
    });
}


/* Makes a message older, in the database itself. */

export function age(server, id, ms) {
    execFileSync('sqlite3', [path.join(server.prefix, 'data/chat.db'),
        `.timeout 10000`,
        `UPDATE messages SET created_at = created_at - ${ms},`
        + ` updated_at = updated_at - ${ms} WHERE id = ${id}`]);
}
