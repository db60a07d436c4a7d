/*
 * The operator's console in Chromium: windows with its page, and tests that
 * have a server with a console and clients.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, it } from 'node:test';
import { launch, Window } from './browser.mjs';
import { withClients } from './clients.mjs';
import { libraries } from './libraries.mjs';
import { packages } from './server.mjs';

const axe = fs.readFileSync(packages.resolve('axe-core/axe.min.js'), 'utf8');

export const app = '17536051';

const location = 'location /console/ { chat_console; }';


export class Console extends Window {
    requests = [];

    /* Without a hash the page is not opened yet: the window has `base`. */

    static async open(browser, server, hash, options = {}) {
        const { path = '/console/', ...rest } = options;
        const base = server.url + path;
        const window = await super.open(browser, 'about:blank', {
            viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce',
            ...rest });

        window.base = base;
        window.page.on('request', (request) => {
            window.requests.push(request.url());
        });

        if (hash !== null) {
            await window.page.goto(base + hash);
        }

        return window;
    }

    /* The page's own state, not that of a part of it. */

    is(text) {
        return this.page.locator('#state').filter({ hasText: text }).waitFor();
    }

    async go(hash) {
        await this.page.evaluate((to) => { location.hash = to; }, hash);
    }

    heading(name) {
        return this.page.getByRole('heading', { level: 1, name }).waitFor();
    }

    says(text) {
        return this.page.getByText(text).first().waitFor();
    }

    button(name) {
        return this.page.getByRole('button', { name, exact: true });
    }

    link(name) {
        return this.page.getByRole('link', { name, exact: true });
    }

    /* The rows of a table, each as its cells' texts. */

    table(name) {
        return this.page.getByRole('region', { name, exact: true })
                        .locator('tbody tr').evaluateAll((rows) => (
                            rows.map((row) => [...row.cells].map((cell) => (
                                cell.textContent)))));
    }

    /* What the lines of a list of events or messages say. */

    lines() {
        return this.page.locator('.rows > li').evaluateAll((all) => (
            all.map((line) => line.textContent)));
    }

    line(text) {
        return this.page.locator('.rows > li').filter({ hasText: text });
    }

    /* Waits until what is read there is so. */

    async until(read, wanted, ms = 20000) {
        const end = Date.now() + ms;
        let found;

        for ( ;; ) {
            found = await read();

            if (typeof wanted === 'function'
                ? wanted(found)
                : JSON.stringify(found) === JSON.stringify(wanted))
            {
                return found;
            }

            if (Date.now() > end) {
                assert.deepEqual(found, wanted);
            }

            await this.page.waitForTimeout(20);
        }
    }

    /* Nothing that axe finds, and nothing that is wider than the window. */

    async sound(what) {
        await this.page.evaluate(axe);

        const found = await this.page.evaluate(async () => {
            const { violations } = await window.axe.run(document);

            return violations.map(({ id, help, nodes }) => ({
                id, help, where: nodes.map(({ html }) => html) }));
        });

        assert.deepEqual(found, [], `axe, ${what}`);

        const wide = await this.page.evaluate(() => (
            document.documentElement.scrollWidth - innerWidth));

        assert.ok(wide <= 0, `${what} is ${wide} px too wide`);
    }

    /* It complained of nothing, and asked nobody else. */

    clean() {
        assert.deepEqual(this.errors, []);
        assert.deepEqual(this.requests.filter((url) => (
            !url.startsWith(this.base) && !url.startsWith('data:'))), []);
    }
}


/*
 * A test with a server, its clients, and open(hash, options) for a window
 * with the console.
 */

export function withConsole(getBrowser, options, test) {
    const all = { workers: 2, ...options,
                  locations: location + (options.locations ?? '') };

    return withClients(libraries[0], all, async (given) => {
        const windows = [];

        const open = async (hash = '', more = {}) => {
            const window = await Console.open(getBrowser(), given.server, hash,
                                              more);

            windows.push(window);
            return window;
        };

        try {
            await test({ ...given, open });
            windows.forEach((window) => window.clean());

        } finally {
            await Promise.all(windows.map((window) => window.close()));
        }
    });
}


/*
 * For a file of tests, which share a browser: test(what, how, options), and
 * getBrowser() for withConsole().
 */

export function consoleTests(shared = {}, timeout = 120000) {
    let browser;

    before(async () => { browser = await launch(); });
    after(() => browser?.close());

    const getBrowser = () => browser;
    const test = (what, how, options = {}) => (
        it(what, { timeout }, withConsole(getBrowser,
                                          { ...shared, ...options }, how)));

    return { test, getBrowser };
}


/* Where the console has the page of a channel. */

export function channel(name, part = '') {
    return `#/channel/${app}/${encodeURIComponent(name)}${part}`;
}


/* An event as an operator's tool sends it. */

export async function trigger(server, channel, name, data) {
    const { status, text } = await server.request('POST',
        `/console/apps/${app}/events`, { name, channel, data },
        { 'X-Chat-Console': '1' });

    assert.equal(status, 200, text);
}
