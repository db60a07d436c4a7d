/*
 * The console's page of the cluster's nodes: two nginx over a Redis that is
 * stopped for a while, a server that is alone, and what else chat_status may
 * say.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { consoleTests, withConsole } from './console.mjs';
import { Engine } from './engine.mjs';
import { withServer } from './server.mjs';

const { test, getBrowser } = consoleTests();

// what the engine's absence leaves in the error log
const allow = /chat cluster: /;

const own = ({ page }) => page.locator('.node').filter({
    has: page.getByRole('heading', { name: /^This node/ }) });

const heading = (window) => own(window).locator('h2').innerText();
const state = (window) => own(window).getByRole('status').innerText();
const todo = (window) => own(window).locator('.todo').allInnerTexts();
const note = ({ page }) => page.locator('.node .note').innerText();

/* What it says of this node, by its terms. */

const facts = (window) => own(window).locator('.facts > div')
    .evaluateAll((all) => Object.fromEntries(all.map((one) => (
        [...one.children].map((part) => part.textContent)))));

/* The table, without how much is left. */

const nodes = async (window) => (await window.table('Nodes'))
    .map(([name, lease]) => [name, lease.replace(/^[1-3] s left$/, 'left')]);


describe('nodes in the console', () => {

    test('a server that is alone', async ({ open }) => {
        const window = await open('#/');

        await window.link('Nodes').click();
        await window.heading('Nodes');
        await window.says('This server is alone.');
        await window.says('conf/cluster.md');
        assert.ok(await own(window).isHidden());
        assert.ok(await window.page.getByText('Waiting for').isHidden());
        await window.sound('a server that is alone');
    });

    it('in the cluster, out of it, cut off, and in again', { timeout: 120000 },
       async () => {
        const engine = await Engine.start();
        const http = (name) => (
            `chat_cluster ${engine.url} name=${name} lease=3s isolate=15s;`);

        const run = withConsole(getBrowser, { http: http('a'), allow },
                                ({ server, open }) => withServer(
            { http: http('b'), allow }, (other) => outAndIn(engine, server,
                                                            other, open)));

        try {
            await run();

        } finally {
            await engine.finish();
        }
    });

    async function outAndIn(engine, server, other, open) {
        const window = await open('#/nodes');
        const both = [['a this node', 'left'], ['b ', 'left']];
        const is = (text) => window.until(() => state(window), text, 40000);

        await is('in the cluster');
        await server.post('one');
        await other.post('two');
        await window.until(() => nodes(window), both);
        assert.equal(await heading(window), 'This node a');
        assert.equal(await note(window), '');
        assert.deepEqual(await todo(window), []);
        await window.until(() => facts(window), {
            'Term of the log': '1', 'Place in the log': 'event 2, 0 behind',
            'End of the log lost': 'never',
            'Log did not reach back': 'never' });
        await window.sound('in the cluster');

        engine.stop();
        await is('out of the cluster');
        assert.match((await todo(window)).join(),
                     /Connections stay\..*Look whether Redis answers/s);
        assert.equal(await window.page.locator('.node.bad .tag.bad').count(),
                     1);
        await window.until(() => facts(window), (all) => all['Last error']);

        const { 'Out for': time, 'Last error': error,
                ...rest } = await facts(window);

        assert.match(time, /^\d+ s$/);
        assert.match(error, /\w/);
        assert.deepEqual(rest, {
            'Term of the log': 'none while it is out',
            'Place in the log': 'event 2',
            'End of the log lost': 'never',
            'Log did not reach back': 'never' });
        assert.match(await note(window), /^As this node has heard last/);
        assert.deepEqual((await nodes(window)).map(([name]) => name),
                         ['a this node', 'b ']);
        await window.sound('out of the cluster');

        await is('cut off: clients are sent away');
        await window.until(() => facts(window), (all) => (
            parseInt(all['Out for'], 10) >= 15));
        assert.match((await todo(window)).join(), /longer than isolate/);
        await window.sound('cut off');

        engine.go();
        await is('in the cluster');
        await window.until(() => nodes(window), both);
        await window.until(() => todo(window), []);
        assert.deepEqual(Object.keys(await facts(window)), [
            'Term of the log', 'Place in the log', 'End of the log lost',
            'Log did not reach back']);

        await other.stop('SIGQUIT');
        await window.until(() => nodes(window), both.slice(0, 1));
        assert.equal(await note(window), 'No other node is in it.');
        await window.sound('alone in the cluster');
    }

    test('whatever chat_status may say', async ({ open }) => {
        const window = await open(null);
        const { page } = window;
        const html = '<img src=x onerror=alert(1)>';
        const ago = (ms) => new Date(Date.now() - ms).toISOString();
        const cluster = {
            node: html, joined: 1, isolated: 0, away_milliseconds: 0, term: 3,
            applied: 1234, behind: 1000, log_lost: 1, log_trimmed: 1200,
            nodes: [{ node: 'n10', lease_milliseconds: 0 },
                    { node: 'n9', lease_milliseconds: 1 },
                    { node: html, lease_milliseconds: 3000 }] };
        const incident = { kind: 'cluster_out', count: 1, first: ago(60000),
                           last: ago(60000), pid: 1, detail: 'an old error' };

        await page.route('**/incidents', (route) => route.fulfill({
            json: { now: ago(0), incidents: [incident] } }));
        await page.route('**/status', async (route) => {
            const response = await route.fetch();

            await route.fulfill({ response, json: {
                ...await response.json(), cluster } });
        });

        /* names are texts, and in their order */

        await page.goto(`${window.base}#/nodes`);
        await window.until(() => nodes(window), [
            [`${html} this node`, 'left'], ['n9 ', 'left'],
            ['n10 ', 'over: it is being taken out']]);
        assert.equal(await heading(window), `This node ${html}`);
        assert.equal(await page.locator('main img').count(), 0);
        assert.deepEqual(await facts(window), {
            'Term of the log': '3',
            'Place in the log': 'event 1234, 1,000 behind',
            'End of the log lost': 'once',
            'Log did not reach back': '1,200 times' });
        assert.match((await todo(window)).join(),
                     /larger keep.*appendfsync always/s);
        await window.sound('a log that was lost');

        /* what has the name of this one */

        cluster.nodes[1].node = html;
        await window.until(async () => (await nodes(window)).map(([n]) => n), [
            `${html} this node, or one of its name`,
            `${html} this node, or one of its name`, 'n10 ']);

        /* an error of another time is not that of this one */

        Object.assign(cluster, { joined: 0, away_milliseconds: 10000,
                                 term: 0, applied: 0, log_lost: 0 });
        await window.until(() => state(window), 'out of the cluster');
        await window.until(() => todo(window), ([text]) => (
            /Another node gives it the messages/.test(text)));
        assert.equal((await facts(window))['Last error'], undefined);
        assert.equal((await facts(window))['Place in the log'], 'no event yet');
        assert.deepEqual((await nodes(window)).at(-1),
                         ['n10 ', 'over, or not heard of']);
        Object.assign(incident, { last: ago(0), detail: 'the database is of '
                                                        + 'another cluster' });
        await window.until(() => todo(window), ([text]) => (
            /does not belong to this cluster/.test(text)));
        assert.equal((await facts(window))['Last error'], incident.detail);

        /* as many as are listed, and none */

        cluster.nodes = Array.from({ length: 32 }, (_, i) => (
            { node: `n${i}`, lease_milliseconds: 60000 }));
        await window.until(async () => (await nodes(window)).length, 32);
        assert.match(await note(window), /^32 nodes are listed/);
        cluster.nodes = [];
        await window.until(() => note(window), 'It has heard of none yet.');
        await window.sound('a node that has heard of none');
    });
});
