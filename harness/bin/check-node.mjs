// Imported first by everything that is started by hand. It and prepare.mjs keep to what Node 14 understands,
// so that an old Node gets this message and not a syntax error.
import { readFileSync } from 'fs';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const wanted = manifest.engines.node.replace('>=', '');

/** Whether `version` ("20.20.2") is at least `floor` ("20.20"). */
function isAtLeast(version, floor) {
  const have = version.split('.').map(Number);
  const need = floor.split('.').map(Number);
  for (let i = 0; i < need.length; i += 1) {
    if (have[i] !== need[i]) return have[i] > need[i];
  }
  return true;
}

if (!isAtLeast(process.versions.node, wanted)) {
  console.error(
    `imperm needs Node ${wanted} or newer; this is Node ${process.versions.node} (${process.execPath}).\n` +
      'Install a newer one (https://nodejs.org/en/download, or your distribution), then start again.',
  );
  process.exit(69);
}
