export { type CommandLine, findCommandLines, findExamples } from './command-lines.js';
export { makeCommandJudge } from './judge-command.js';
export { findWrittenScenarios } from './written-scenarios.js';
export { findMarkdown, readMarkdown } from './markdown.js';
