export { createLiveReporter, type LiveReporter, type LiveReporterOptions } from './live.js';
export { renderLeaks, type LeaksOptions } from './leaks.js';
export { renderSummary, type SummaryOptions } from './summary.js';
export { renderPhaseTable } from './phase-table.js';
export { renderTap } from './tap.js';
export { renderJUnit } from './junit.js';
export { makePrintable, wrapText } from './text.js';
export { writeReports, type WrittenReports } from './write-reports.js';
export { writeSampleRun } from './sample-evidence.js';
