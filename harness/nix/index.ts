export { makeNixDocument } from './document.js';
export { evaluateMapping, nixEnvironment } from './evaluate.js';
export { GOLDEN_DIR, summarizeMapping } from './golden.js';
export { loadAllScenarios, renderNixDocument, writeFolder, writeNixDocuments } from './write.js';
