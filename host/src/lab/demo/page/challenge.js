document.querySelector('input').addEventListener('change', async () => {
  await fetch('/api/challenge', { method: 'POST' });
  location.reload();
});
