/** The simulator behind `weir simulate`: scenario text → results → JSON, a table or a page. Nothing here does I/O. */

export { htmlReport } from './html-report.ts'
export { jsonReport, jsonVersion } from './json-report.ts'
export { type Overrides, readScenario } from './read-scenario.ts'
export type { SchedulerResult } from './result.ts'
export { type Scenario, type SchedulerPlan, schedulerLabel } from './scenario.ts'
export { type ScenarioIssue, SimulateError, type SimulateErrorCode } from './simulate-error.ts'
export { type Progress, Simulation } from './simulation.ts'
export { textReport } from './text-report.ts'
export type { TextStyle } from './text-style.ts'
export { type Crowds, crowdsOf } from './traffic.ts'
