export { type ControllerBench, controllerBench, namesOf } from './controller-bench.ts';
