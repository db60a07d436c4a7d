/*
 * A WebSocket client of next to nothing: text frames both ways, Pings
 * answered.  For what pusher-js would not send, and for very many clients.
 */

import { randomBytes } from 'node:crypto';
import net from 'node:net';

const TEXT = 1, CLOSE = 8, PING = 9, PONG = 10;


export class WebSocket {
    onopen = () => {};
    onmessage = () => {};               // with the text
    onclose = () => {};                 // once, however the connection ends

    open = false;

    constructor(port, target) {
        this.rest = Buffer.alloc(0);
        this.socket = net.connect({ port, host: '127.0.0.1', noDelay: true });

        this.socket.on('data', (data) => this.read(data));
        this.socket.on('error', () => {});
        this.socket.on('close', () => {
            this.open = false;
            this.onclose();
        });
        this.socket.write(`GET ${target} HTTP/1.1\r\n`
                          + 'Host: 127.0.0.1\r\n'
                          + 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
                          + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: '
                          + `${randomBytes(16).toString('base64')}\r\n\r\n`);
    }

    read(data) {
        let bytes = this.rest.length ? Buffer.concat([this.rest, data])
                                     : data;

        if (!this.open) {
            const end = bytes.indexOf('\r\n\r\n');

            if (end < 0) {
                this.rest = bytes;
                return;
            }

            if (!bytes.subarray(0, 13).equals(Buffer.from('HTTP/1.1 101 '))) {
                this.socket.destroy();
                return;
            }

            bytes = bytes.subarray(end + 4);
            this.open = true;
            this.onopen();
        }

        let at = 0;

        for ( ;; ) {
            const frame = header(bytes, at);

            if (!frame || frame.end > bytes.length) {
                break;
            }

            this.frame(frame.opcode, bytes.subarray(frame.start, frame.end));
            at = frame.end;
        }

        this.rest = at === bytes.length ? bytes.subarray(0, 0)
                                        : Buffer.from(bytes.subarray(at));
    }

    frame(opcode, payload) {
        switch (opcode) {

        case TEXT:
            this.onmessage(payload.toString());
            break;

        case PING:
            this.write(PONG, payload);
            break;

        case CLOSE:
            this.code = payload.length ? payload.readUInt16BE(0) : 1005;
            this.socket.end();
        }
    }

    send(text) {
        this.write(TEXT, Buffer.from(text));
    }

    write(opcode, payload) {
        const length = payload.length;
        const size = length < 126 ? 2 : 4;
        const frame = Buffer.alloc(size + 4 + length);
        const mask = randomBytes(4);

        if (length > 65535) {
            throw new Error('that is too long');
        }

        frame[0] = 0x80 | opcode;
        frame[1] = 0x80 | (size === 2 ? length : 126);

        if (size === 4) {
            frame.writeUInt16BE(length, 2);
        }

        mask.copy(frame, size);

        for (let i = 0; i < length; i++) {
            frame[size + 4 + i] = payload[i] ^ mask[i & 3];
        }

        this.socket.write(frame);
    }

    /* Without a Close frame: as a client that is gone. */

    destroy() {
        this.socket.destroy();
    }
}


/* Where the frame's payload is; nothing, while that is not known. */

function header(bytes, at) {
    if (bytes.length < at + 2) {
        return null;
    }

    const opcode = bytes[at] & 0x0f;
    const length = bytes[at + 1] & 0x7f;
    const size = length === 127 ? 10 : length === 126 ? 4 : 2;

    if (bytes.length < at + size) {
        return null;
    }

    const start = at + size;

    return { opcode, start,
             end: start + (size === 2 ? length
                           : size === 4 ? bytes.readUInt16BE(at + 2)
                           : Number(bytes.readBigUInt64BE(at + 2))) };
}
