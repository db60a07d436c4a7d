/*
 * Chromium without a screen, and windows with the demo's page in them.
 */

import assert from 'node:assert/strict';
import { packages } from './server.mjs';

const { chromium } = packages('playwright-core');

const limit = 20000;


export function launch() {
    return chromium.launch({        // with a new profile in a temporary folder
        executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic',
               '--no-first-run', '--disable-background-networking',
               '--disable-component-update', '--disable-sync'],
    });
}


export class Window {
    errors = [];                        // what the page's console complains of
    expected = null;                    // a pattern of such that are no fault

    /* Each has a context of its own: no cookies or storage in common. */

    static async open(browser, url, options = {}) {
        const window = new Window();

        window.context = await browser.newContext({
            viewport: { width: 800, height: 600 }, ...options });
        window.page = await window.context.newPage();
        window.page.setDefaultTimeout(limit);
        window.page.on('pageerror', (error) => {
            window.errors.push(String(error));
        });
        window.page.on('console', (message) => {
            if (message.type() === 'error'
                && !window.expected?.test(message.text()))
            {
                window.errors.push(message.text());
            }
        });

        await window.page.goto(url);

        return window;
    }

    close() {
        return this.context.close();
    }

    state(text) {
        return this.page.getByRole('status').filter({ hasText: text })
                        .waitFor();
    }

    live() {
        return this.state(/^Live$/);
    }

    async send(text) {
        await this.page.getByLabel('Your message').fill(text);
        await this.page.getByRole('button', { name: 'Send', exact: true })
                       .click();
    }

    /*
     * Waits until the page shows just these messages, in this order, and
     * those that could not be sent.
     */

    async shows(sent, failed = []) {
        const read = () => {
            const texts = (which) => (
                [...document.querySelectorAll(`#messages ${which} .text`)]
                    .map((e) => e.textContent));

            return { sent: texts('li[data-id]'),
                     failed: texts('li.failed'),
                     pending: texts('li.pending') };
        };
        const wanted = { sent, failed, pending: [] };

        await this.page.waitForFunction(
            ([read, wanted]) => (
                JSON.stringify(eval(read)()) === JSON.stringify(wanted)),
            [String(read), wanted])
            .catch(() => {});           // the assertion below says it better

        assert.deepEqual(await this.page.evaluate(read), wanted);
    }

    own() {
        return this.page.locator('#messages .own .text').allTextContents();
    }
}
