import { Link } from '@tanstack/react-router';
import { ChevronRight } from 'lucide-react';
import { Tokens } from '@/features/access/tokens';
import { useTheme } from '@/features/shell/theme';
import { useStored } from '@/lib/stored';
import { Card } from '@/ui/card';
import { Choice } from '@/ui/choice';
import { Switch } from '@/ui/field';
import { failed } from '@/ui/toast';

/** What this browser and this person have set. */
export function Settings() {
  const [theme, setTheme] = useTheme();
  const [notify, setNotify] = useStored('notifications', ['off', 'on'], 'off');
  const canNotify = typeof Notification !== 'undefined';
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-5 px-4 py-6">
      <h1 className="text-xl font-semibold">Settings</h1>
      <Card title="This browser" className="flex flex-col">
        <div className="flex flex-col gap-4 p-4">
          <Choice
            label="Theme"
            options={[
              { id: 'system', label: 'As the system' },
              { id: 'light', label: 'Light' },
              { id: 'dark', label: 'Dark' },
            ]}
            value={theme}
            onChange={(value) => setTheme(value as typeof theme)}
            className="max-w-60"
          />
          {canNotify && (
            <Switch
              selected={notify === 'on'}
              onChange={async (on) => {
                if (on && (await Notification.requestPermission()) !== 'granted') {
                  failed(new Error('The browser does not allow notifications for this address'));
                  return;
                }
                setNotify(on ? 'on' : 'off');
              }}
            >
              Tell me when an agent needs me and this page is not in sight
            </Switch>
          )}
        </div>
      </Card>
      <Card title="The installation">
        <Link
          to="/settings/installation"
          className="flex items-center gap-3 rounded-b-xl px-4 py-3 hover:bg-sunken"
        >
          <span className="min-w-0 flex-1">
            <span className="block font-medium">Settings of the installation</span>
            <span className="block text-sm text-soft">
              How many runs at once, which hosts they may reach, harness profiles, how long things
              are kept, and who changed what
            </span>
          </span>
          <ChevronRight aria-hidden className="size-4 text-soft" />
        </Link>
      </Card>
      <Tokens />
    </div>
  );
}
