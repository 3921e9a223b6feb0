export { makeNixDocument } from './document.js';
export { evaluateMapping, GOLDEN_DIR, nixEnvironment } from './evaluate.js';
export { renderNixDocument, writeNixDocuments } from './write.js';
