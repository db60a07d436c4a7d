/*
 * Numbers, sizes and times as texts.  The page is in English whatever the
 * browser's language, so these are, too; times are local, days as in ISO 8601.
 */

export const NONE = '–';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const known = (value) => Number.isFinite(value);


export function count(value) {
    return known(value) ? whole.format(value) : NONE;
}


/* plural(1, 'event') is "1 event", plural(2, 'event') is "2 events" */

export function plural(value, word, words = `${word}s`) {
    return `${count(value)} ${value === 1 ? word : words}`;
}


/* Three digits: 1.23, 12.3, 123, 1,234 */

export function short(value) {
    const size = Math.abs(value);

    if (!known(value)) {
        return NONE;
    }

    if (size >= 100 || value === 0) {
        return whole.format(value);
    }

    return String(Number(value.toFixed(size >= 10 ? 1 : 2)));
}


export function rate(value) {
    return known(value) ? `${short(value)}/s` : NONE;
}


export function bytes(value) {
    const units = ['B', 'KB', 'MB', 'GB', 'TB'];
    let i = 0;

    if (!known(value)) {
        return NONE;
    }

    while (value >= 1024 && i < units.length - 1) {
        value /= 1024;
        i++;
    }

    return `${short(value)} ${units[i]}`;
}


export function byteRate(value) {
    return known(value) ? `${bytes(value)}/s` : NONE;
}


export function micros(value) {
    if (!known(value)) {
        return NONE;
    }

    if (value < 1000) {
        return `${short(value)} µs`;
    }

    return value < 1e6 ? `${short(value / 1000)} ms`
                       : `${short(value / 1e6)} s`;
}


export function percent(part, all) {
    return all > 0 ? `${short(Math.round(1000 * part / all) / 10)} %` : NONE;
}


/* 3 d 4 h, 4 h 12 min, 12 min, 12 s */

export function duration(seconds) {
    const units = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
    const i = units.findIndex(([, size]) => seconds >= size);

    if (!known(seconds)) {
        return NONE;
    }

    if (i < 0) {
        return '0 s';
    }

    const [unit, size] = units[i];
    const first = `${Math.floor(seconds / size)} ${unit}`;

    if (unit === 'min' || unit === 's') {
        return first;
    }

    const [smaller, part] = units[i + 1];
    const rest = Math.floor(seconds % size / part);

    return rest ? `${first} ${rest} ${smaller}` : first;
}


const two = (n) => String(n).padStart(2, '0');


export function clock(date) {
    return [date.getHours(), date.getMinutes(), date.getSeconds()]
        .map(two).join(':');
}


export function clockMs(date) {
    return `${clock(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}


export function day(date) {
    return [date.getFullYear(), date.getMonth() + 1, date.getDate()]
        .map(two).join('-');
}


/* The time, with the day where that is not today. */

export function moment(date, now = new Date()) {
    if (Number.isNaN(date.getTime())) {
        return NONE;
    }

    return day(date) === day(now) ? clock(date)
                                  : `${day(date)} ${clock(date)}`;
}


export function ago(milliseconds) {
    return milliseconds < 1500 ? 'just now'
                               : `${duration(milliseconds / 1000)} ago`;
}


const encoder = new TextEncoder();

export function byteLength(text) {
    return encoder.encode(text).length;
}
