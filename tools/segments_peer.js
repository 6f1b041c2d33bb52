// Compares what tools/segments_peer.lua wrote with two calculators from npm.
// Called by tools/segments_peer.sh.
'use strict';

const fs = require('fs');
const split = require('split-sms');
const { SegmentedMessage } = require('sms-segments-calculator');
const utils = require('sms-segments-calculator/dist/libs/textUtils');

const [, , directory, option] = process.argv;
const FORCED_MAX = 32;
const FIXTURE = 'spec/fixtures/segments.txt';
const version = (name) => `${name} ${require(`${name}/package.json`).version}`;

// ---- the calculators; all answers have one form ----

function askSplitSms(text) {
  const told = split.split(text, { summary: true });
  const gsm = told.characterSet === 'GSM';
  return {
    encoding: gsm ? 'GSM-7' : 'UCS-2',
    segments: told.parts.length,
    units: gsm ? told.bytes : told.bytes / 2,
    remaining: told.remainingInPart,
  };
}

function askCalculator(text) {
  const told = new SegmentedMessage(text);
  const gsm = told.encodingName === 'GSM-7';
  const last = told.segments[told.segments.length - 1];
  return {
    encoding: told.encodingName,
    segments: told.segmentsCount,
    units: told.messageSize / (gsm ? 7 : 16),
    remaining: Math.floor(last.freeSizeInBits() / (gsm ? 7 : 16)),
    forced: gsm ? [] : told.getNonGsmCharacters(),
  };
}

// It keeps grapheme clusters whole. Without that a cluster is its characters,
// and all else of it stays as it is.
const graphemes = utils.splitGraphemes;

function askWithoutClusters(text) {
  utils.splitGraphemes = (message) => [...message];
  const answer = askCalculator(text);
  utils.splitGraphemes = graphemes;
  const distinct = [...new Set(answer.forced)].slice(0, FORCED_MAX);
  answer.forced = Buffer.from(distinct.join('')).toString('hex');
  return answer;
}

// ---- the texts, and our answers ----

function readTexts() {
  const bytes = fs.readFileSync(`${directory}/texts`);
  const texts = [];
  for (let from = 0, to; from < bytes.length; from = to + 1) {
    to = bytes.indexOf(255, from);
    texts.push(bytes.toString('utf8', from, to));
  }
  return texts;
}

function readOurs() {
  const lines = fs.readFileSync(`${directory}/ours`, 'utf8').split('\n');
  lines.pop();
  return lines.map((line) => {
    const [encoding, segments, units, remaining, forced] = line.split(' ');
    return {
      encoding, segments: +segments, units: +units, remaining: +remaining,
      forced,
    };
  });
}

const FIELDS = ['encoding', 'units', 'segments', 'remaining'];
const differing = (a, b) => FIELDS.filter((name) => a[name] !== b[name]);

// ---- the fixture; spec/segments_spec.lua says what stands in it ----

function size(answer) {
  const gsm = answer.encoding === 'GSM-7';
  if (answer.segments === 1) return gsm ? 160 : 70;
  return gsm ? 153 : 67;
}

// What the segments before the last leave free.
const gaps = (answer) =>
  answer.segments * size(answer) - answer.remaining - answer.units;

const letter = (n) => {
  if (n < 0 || n > 91) throw new Error(`${n} has no letter`);
  return String.fromCharCode(35 + n);
};

function code(answer) {
  const ucs2 = answer.encoding === 'UCS-2' ? 1 : 0;
  const n = ((answer.segments - 1) * 2 + ucs2) * 160 + answer.remaining;
  const gap = gaps(answer);
  return (gap > 0 ? `!${letter(gap)}` : '') + letter(Math.floor(n / 92)) +
    letter(n % 92);
}

const BLOCK = 1000;

function write(answers) {
  let out = `What ${version('split-sms')} answers to the texts of ` +
    'spec/support/sms_texts.lua,\nand checksums of the characters that ' +
    `${version('sms-segments-calculator')} finds.\nWritten by ` +
    'tools/segments_peer.sh --write; the forms are in ' +
    'spec/segments_spec.lua.\n';
  for (let from = 0; from < answers.length; from += BLOCK) {
    let sum = 0;
    const block = answers.slice(from, from + BLOCK);
    for (const answer of block) {
      for (const byte of Buffer.from(answer.forced, 'hex'))
        sum = (sum * 31 + byte) % 2147483647;
      sum = (sum * 31 + 256) % 2147483647;
    }
    out += `${sum} ${block.map(code).join('')}\n`;
  }
  fs.writeFileSync(FIXTURE, out);
  console.log(`${FIXTURE}: ${out.length} bytes`);
}

// ---- comparing ----

const texts = readTexts();
const ours = readOurs();
if (texts.length !== ours.length) throw new Error('lines and texts differ');

const count = (list, test) => list.filter(test).length;
console.log(`${texts.length} texts: ` +
  `${count(ours, (o) => o.encoding === 'UCS-2')} in UCS-2, ` +
  `${count(ours, (o) => o.segments > 1)} of several segments, ` +
  `${count(ours, (o) => gaps(o) > 0)} with a gap, ` +
  `${count(ours, (o) => o.remaining === 0)} that end full, ` +
  `${Math.max(...ours.map((o) => o.segments))} segments at most`);

const recorded = [];
let splitDiffers = 0;
let callDiffers = 0;
let apartDiffers = 0;
let forcedDiffers = 0;
let whole = 0; // differing texts in UCS-2, with clusters, of several segments
const kinds = {};
texts.forEach((text, i) => {
  const first = askSplitSms(text);
  const apart = askWithoutClusters(text);
  const call = askCalculator(text);
  recorded.push({ ...first, forced: apart.forced });
  if (differing(first, ours[i]).length > 0) splitDiffers++;
  if (differing(apart, ours[i]).length > 0) apartDiffers++;
  if (apart.forced !== ours[i].forced) forcedDiffers++;
  const names = differing(call, ours[i]);
  if (names.length === 0) return;
  callDiffers++;
  const kind = names.join(' and ');
  kinds[kind] = (kinds[kind] || 0) + 1;
  if (ours[i].encoding === 'UCS-2' && ours[i].segments > 1 &&
      graphemes(text).length < [...text].length) whole++;
});

console.log(`${version('split-sms')}: ${splitDiffers} differ`);
console.log(`${version('sms-segments-calculator')}: ${callDiffers} differ`);
for (const kind of Object.keys(kinds).sort())
  console.log(`  in ${kind}: ${kinds[kind]}`);
console.log('  of those in UCS-2, of several segments, with clusters: ' +
  whole);
console.log(`  its clusters taken apart: ${apartDiffers} differ, ` +
  `${forcedDiffers} in what forced UCS-2`);
for (const [name, ask] of [['split-sms', askSplitSms],
  ['sms-segments-calculator', askCalculator]])
  console.log(`an empty text, ${name}: ${ask('').segments} segment`);

if (option === '--write') write(recorded);
process.exitCode =
  splitDiffers + apartDiffers + forcedDiffers + callDiffers - whole > 0 ? 1 : 0;
