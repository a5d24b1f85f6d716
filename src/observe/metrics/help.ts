/** How Kubernetes' component-base marks a metric's stability in its help text. */
export const alpha = (help: string): string => `[ALPHA] ${help}`
