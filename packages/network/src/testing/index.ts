export { type Lab, type LabNode, type LabPod, openLab, whyNoLab } from './lab.ts';
