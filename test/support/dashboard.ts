/** Each query of the Grafana dashboard, so that a panel that is new is tried as well. */
import { text } from '../unit/repo/source.ts';

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly type: string; readonly targets?: readonly { readonly expr: string }[] }[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[] };
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
}

export interface DashboardQuery {
  readonly where: string;
  /** As Prometheus takes it. */
  readonly query: string;
}

const dashboard = (): Dashboard => JSON.parse(text('docker/grafana/dashboards/beckon.json')) as Dashboard;

/** As Grafana fills them in for all nodes. @param interval what a rate looks back over */
export function dashboardQueries(interval = '1m'): readonly DashboardQuery[] {
  const filled = (query: string): string => query.replaceAll('$__rate_interval', interval).replaceAll('$node', '.*');
  const queries = dashboard().panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, query: filled(expr) })));
  const odd = queries.find(({ query }) => query.includes('$'));
  if (odd !== undefined) throw new Error(`${odd.where} asks with a variable that is not known here: ${odd.query}`);
  return queries;
}

export function dashboardAnnotations(): readonly DashboardQuery[] {
  return dashboard().annotations.list.map(({ name, expr }) => ({ where: name, query: expr }));
}

/** `label_values(METRIC, LABEL)` of its variables. */
export function dashboardVariables(): readonly { readonly metric: string; readonly label: string }[] {
  return dashboard().templating.list.filter(({ type }) => type === 'query').map(({ name, definition = '' }) => {
    const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(definition) ?? [];
    if (metric === undefined || label === undefined) throw new Error(`the variable ${name} asks what is not known here: ${definition}`);
    return { metric, label };
  });
}
