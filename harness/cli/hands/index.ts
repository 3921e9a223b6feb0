export { checkPause, chooseHands, completeKeep, type HandsOptions } from './choose-hands.js';
export { addHands, withHands } from './hands-command.js';
export { holdForPerson } from './person.js';
