export { makeNixDocument, nixSystemNames, type NixDocument } from './document.js';
export { writeNixDocuments } from './write.js';
