export { findStep, nameSteps } from './find-step.js';
export { planVariant, renderPlan, type Plan, type PlanStep, type TargetFacts } from './plan.js';
