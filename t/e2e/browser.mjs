/*
 * Chromium without a screen, and windows in it.
 */

import assert from 'node:assert/strict';
import { packages } from './server.mjs';

const { chromium } = packages('playwright-core');

const limit = 20000;


export function launch(...args) {
    return chromium.launch({        // with a new profile in a temporary folder
        ignoreDefaultArgs: ['--disable-back-forward-cache'],
        executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic',
               '--no-first-run', '--disable-background-networking',
               '--disable-component-update', '--disable-sync', ...args],
    });
}


/*
 * Runs in the page: every visible text, and the contrast of its colour to
 * what is painted behind it, as WCAG 2 computes it.
 */

function contrasts() {
    const parse = (color) => {
        const [r, g, b, alpha = 1] = color.match(/[\d.]+/g).map(Number);

        return { rgb: [r, g, b], alpha };
    };

    const over = (top, below) => {
        const alpha = top.alpha + below.alpha * (1 - top.alpha);

        return { alpha, rgb: top.rgb.map((v, i) => (alpha && (
            v * top.alpha + below.rgb[i] * below.alpha * (1 - top.alpha))
            / alpha)) };
    };

    const luminance = ({ rgb }) => {
        const [r, g, b] = rgb.map((v) => (
            v / 255 <= 0.03928 ? v / 255 / 12.92
                               : ((v / 255 + 0.055) / 1.055) ** 2.4));

        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };

    const contrast = (element, color) => {
        let text = parse(color);
        let behind = parse('rgba(0, 0, 0, 0)');

        for (let e = element; e; e = e.parentElement) {
            const style = getComputedStyle(e);
            const own = parse(style.backgroundColor);

            [text, behind] = [text, behind].map((layer) => {
                const { rgb, alpha } = over(layer, own);

                return { rgb, alpha: alpha * Number(style.opacity) };
            });
        }

        if (behind.alpha !== 1) {
            throw new Error('the page has no background');
        }

        const [light, dark] = [text, behind].map(luminance)
                                            .sort((a, b) => b - a);

        return (light + 0.05) / (dark + 0.05);
    };

    const found = [];

    for (const e of document.body.querySelectorAll('*')) {
        const text = [...e.childNodes]
            .filter((node) => node.nodeType === Node.TEXT_NODE)
            .map((node) => node.data.trim()).join(' ').trim();

        if (!e.checkVisibility() || e.closest('.hidden, noscript')) {
            continue;
        }

        if (text) {
            found.push({ of: e.className || e.localName, text,
                         ratio: contrast(e, getComputedStyle(e).color) });
        }

        if (e.placeholder) {
            found.push({ of: 'placeholder', text: e.placeholder,
                         ratio: contrast(e,
                             getComputedStyle(e, '::placeholder').color) });
        }
    }

    return found;
}


export class Window {
    errors = [];                        // what the page's console complains of
    expected = null;                    // a pattern of such that are no fault

    /* Each has a context of its own: no cookies or storage in common. */

    static async open(browser, url, options = {}) {
        const window = new this();

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

    /* A route may be asking the server still: its error is no fault. */

    async close() {
        if (!this.page.isClosed()) {
            await this.page.unrouteAll({ behavior: 'ignoreErrors' });
        }

        await this.context.close();
    }

    /* Fails where a text is too faint, or one of these is not shown. */

    async readable(...texts) {
        const found = await this.page.evaluate(contrasts);

        for (const text of texts) {
            assert.ok(found.some((one) => one.text.includes(text)),
                      `"${text}" is shown`);
        }

        assert.deepEqual(found.filter(({ ratio }) => ratio < 4.5), []);
    }
}
