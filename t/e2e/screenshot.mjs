/*
 * Makes the README's pictures of the demo as it runs: two windows that talk to
 * each other, a light one and, as wide as a phone, a dark one; and the same as
 * it happens.
 *
 *     node t/e2e/screenshot.mjs FILE.png [FILE.webp]
 *
 * ffmpeg makes the files small.  The text is in Debian's fonts-inter, where
 * that is installed.
 */

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { launch } from './browser.mjs';
import { withDemo } from './demo.mjs';

const SCALE = 1.5;
const HEIGHT = 540;                     // px, of both windows

const [still, moving] = process.argv.slice(2);

if (!still) {
    console.error('usage: node t/e2e/screenshot.mjs FILE.png [FILE.webp]');
    process.exit(2);
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chat-'));

const ffmpeg = (...options) => execFileSync('ffmpeg',
    ['-y', '-loglevel', 'error', ...options], { stdio: 'inherit' });


function useInter() {
    const fonts = ['system-ui', 'sans-serif'].map((name) => `
        <match target="pattern">
            <test name="family"><string>${name}</string></test>
            <edit name="family" mode="prepend" binding="strong">
                <string>Inter</string></edit>
        </match>`);

    process.env.FONTCONFIG_FILE = path.join(folder, 'fonts.conf');
    fs.writeFileSync(process.env.FONTCONFIG_FILE,
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n'
        + '<fontconfig><include>/etc/fonts/fonts.conf</include>'
        + `${fonts.join('')}</fontconfig>\n`);
}


class Film {
    frames = [];                        // [file, how long it is shown]

    constructor(page, windows) {
        this.page = page;
        this.windows = windows;
    }

    /* The windows side by side, as they are now. */

    async take(seconds = 0) {
        const file = path.join(folder, `${this.frames.length}.png`);
        const images = await Promise.all(this.windows.map(
            async ({ page }) => (await page.screenshot({ caret: 'hide' }))
                                    .toString('base64')));

        await this.page.setContent(`<style>
            body { display: inline-flex; gap: 20px; margin: 0; padding: 20px;
                   background: #c6d0ca; }
            img { border-radius: 10px;
                  box-shadow: 0 1px 8px rgb(0 0 0 / 25%); }
            </style>` + images.map((image) => (
                `<img height="${HEIGHT}" src="data:image/png;base64,${image}">`
            )).join(''));
        await this.page.locator('body').screenshot({ path: file });
        this.frames.push([file, seconds]);
    }

    /* A person types, some letters at a time, and sends it. */

    async say(window, text) {
        const parts = text.match(/.{1,9}/g);

        for (const [i, part] of parts.entries()) {
            await window.box.pressSequentially(part);

            if (i === 0) {
                await this.others(window, (one) => (
                    one.page.getByText(/is typing…$/).waitFor()));
            }

            await this.take(0.22);
        }

        await window.box.press('Enter');
        await this.others(window, (one) => (
            one.page.getByText(/is typing…$/).waitFor({ state: 'hidden' })));
        await window.room.getByText(text).and(
            window.page.locator('[data-id] .text')).waitFor();
    }

    others(window, wait) {
        return Promise.all(this.windows.filter((one) => one !== window)
                                       .map(wait));
    }

    keep(file) {
        const list = path.join(folder, 'frames');
        const [last] = this.frames.at(-1);

        fs.writeFileSync(list, this.frames.map(([frame, seconds]) => (
            `file ${frame}\nduration ${seconds}\n`)).join('')
            + `file ${last}\n`);
        ffmpeg('-f', 'concat', '-safe', '0', '-i', list,
               '-fps_mode', 'vfr', '-loop', '0', '-c:v', 'libwebp_anim',
               '-lossless', '1', '-compression_level', '6', file);
    }
}


async function film({ server, open }) {
    const view = { deviceScaleFactor: SCALE, locale: 'en-GB' };
    const ann = await open({ name: 'Ann', ...view, colorScheme: 'light',
                             viewport: { width: 760, height: HEIGHT } });
    const bob = await open({ name: null, ...view, colorScheme: 'dark',
                             viewport: { width: 340, height: HEIGHT } });
    const page = await browser.newPage({ deviceScaleFactor: SCALE });
    const made = new Film(page, [ann, bob]);
    const both = (wait) => Promise.all([ann, bob].map(wait));

    await both((one) => one.live());
    await ann.online('Ann');
    await ann.page.mouse.move(1, 1);
    await made.take(1.2);

    await bob.page.getByLabel('Your name').pressSequentially('Bob');
    await made.take(0.6);
    await bob.button('Join').click();
    await bob.page.mouse.move(1, 1);
    await both((one) => one.online('Ann', 'Bob'));
    await made.take(1);

    await made.say(bob, 'Is the new server up?');
    await ann.shows(['Is the new server up?']);
    await made.take(0.9);
    await made.say(ann, 'Since lunch: https://chat.example.com/');
    await made.take(0.9);
    await made.say(ann, 'One nginx, and that is all of it.');
    await made.take(0.9);
    await made.say(bob, 'And if you reload it while we talk?');
    await made.take(0.9);

    /* as `nginx -s reload` does */

    server.reload();
    await both((one) => one.page.locator('#state[data-recovered=true]')
                                .waitFor());
    await both((one) => one.online('Ann', 'Bob'));
    await made.say(ann, 'I just did.');
    await made.take(1.2);

    await bob.page.evaluate(() => { location.hash = '#team'; });
    await bob.online('Ann', 'Bob');
    await made.take(0.6);
    await bob.send('Between us: it works.');
    await ann.title('(1) Lobby – Chat');
    await bob.shows(['Between us: it works.']);
    await made.take(1.6);
    await ann.enter('Team');
    await ann.shows(['Between us: it works.']);
    await ann.page.mouse.move(1, 1);
    await made.take(2);

    if (moving) {
        made.keep(path.resolve(moving));
    }

    /* the still one */

    await both((one) => one.page.evaluate(() => { location.hash = ''; }));
    await bob.box.pressSequentially('Nice');
    await ann.page.getByText('Bob is typing…').waitFor();
    await made.take();
    ffmpeg('-i', made.frames.at(-1)[0], '-vf', 'split[a][b];[a]palettegen[p];'
           + '[b][p]paletteuse=dither=none', path.resolve(still));
}


useInter();

const browser = await launch();

try {
    await withDemo(() => browser, film)();

} finally {
    await browser.close();
    fs.rmSync(folder, { recursive: true });
}
