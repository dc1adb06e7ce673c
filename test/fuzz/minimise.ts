// Makes a finding small: leaves out steps as long as it is still found.
import { framesIn, type Step, send } from './step.ts';

/** `fails`: whether what is left still shows the fault. Steps become one frame each, and then fewer. */
export async function minimise(
  steps: readonly Step[],
  fails: (steps: readonly Step[]) => Promise<boolean>,
): Promise<readonly Step[]> {
  const single = steps.flatMap((step): Step[] =>
    step.do === 'send' ? framesIn(step.bytes).map((frame) => send(frame)) : [step],
  );
  let left = (await fails(single)) ? single : [...steps];
  for (let size = Math.ceil(left.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < left.length; ) {
      const fewer = left.toSpliced(at, size);
      if (fewer.length > 0 && (await fails(fewer))) left = fewer;
      else at += size;
    }
  }
  return left;
}
